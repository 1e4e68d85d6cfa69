"""The configuration beside Hugging Face's weights, which alone tells numbers of heads."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmxclip.errors import CheckpointError

CONFIG_NAME = 'config.json'
HEAD_WIDTH = 64

_PLACES = {
    # our part: (section, key, transformers' default, which it leaves unwritten)
    'backbone': ('vision_config', 'num_attention_heads', 12),
    'neck': ('vision_config', 'mit_num_attention_heads', 8),
    'prompt': ('', 'prompt_num_attention_heads', 8),
    'text_encoder': ('text_config', 'num_attention_heads', 8),
}
_ARGUMENTS = {
    'backbone': 'backbone.num_heads',
    'neck': 'neck.num_heads',
    'prompt': 'cls_head.prompt.num_heads',
    'text_encoder': 'cls_head.text_encoder.num_heads',
}


def read_config(path: Path) -> dict[str, Any] | None:
    """The X-CLIP configuration beside a weights file; None when there is none.

    Raises:
        CheckpointError: the file is no JSON object, or of another model.
    """
    file = path.with_name(CONFIG_NAME)
    if not file.is_file():
        return None
    try:
        config = json.loads(file.read_text(encoding='utf-8-sig'))
    except (ValueError, OSError) as error:
        raise CheckpointError(f'{file} cannot be read as JSON: {error}') from error
    if not isinstance(config, dict) or config.get('model_type') != 'xclip':
        kind = config.get('model_type') if isinstance(config, dict) else type(config).__name__
        raise CheckpointError(f"{file} describes a {kind!r}, expected model_type 'xclip'")
    return config


def heads_of(config: Mapping[str, Any]) -> dict[str, int]:
    """Attention heads of each part: ``backbone``, ``neck``, ``prompt``, ``text_encoder``."""
    return {
        part: int(_section(config, section).get(key, default))
        for part, (section, key, default) in _PLACES.items()
    }


def usual_heads(sizes: Mapping[str, int]) -> dict[str, int]:
    """Attention heads as CLIP and the authors' code have them: one per 64 channels."""
    widths = dict(
        backbone=sizes['width'],
        neck=sizes['joint_width'],
        prompt=sizes['joint_width'],
        text_encoder=sizes['text_width'],
    )
    return {part: max(1, width // HEAD_WIDTH) for part, width in widths.items()}


def other_heads(config: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, int]:
    """Those parts of a configuration, and their heads, that differ from :func:`usual_heads`."""
    usual = usual_heads(sizes)
    return {part: heads for part, heads in heads_of(config).items() if heads != usual[part]}


def warn_of_heads(config: Mapping[str, Any], sizes: Mapping[str, int], kept: bool = False) -> bool:
    """Say so when a configuration runs with other heads than the authors' code.

    The L/14 files published in this format do: their conversion left the heads
    of the integration over time and of the prompts at 8, where 12 is right.

    Args:
        config: the configuration.
        sizes: from :func:`mmxclip.checkpoints.architecture.sizes_of`.
        kept: whether the configuration's heads are used all the same.

    Returns:
        Whether there was something to say.
    """
    other, usual = other_heads(config, sizes), usual_heads(sizes)
    if not other:
        return False
    parts = ', '.join(f'{part} {number} instead of {usual[part]}' for part, number in other.items())
    if kept:
        way = 'the heads of the configuration are kept, so that outputs are those of the file'
    else:
        settings = ', '.join(f'{_ARGUMENTS[part]}={number}' for part, number in other.items())
        way = (
            'the usual ones are right for weights of the authors and are used here; to reproduce '
            f'outputs of the configuration set {settings}'
        )
    print_log(
        f'the configuration beside the weights has other heads than one per {HEAD_WIDTH} channels '
        f'({parts}); {way}',
        logger='current',
        level=logging.WARNING,
    )
    return True


def check_config(config: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Refuse weights of other sizes than their configuration says.

    Raises:
        CheckpointError: lists the differences; weights cut short lack whole
            layers, which the tensors alone do not show.
    """
    told = make_config(sizes, heads_of(config))
    differences = []
    for section in ('vision_config', 'text_config', ''):
        theirs, ours = _section(config, section), _section(told, section)
        differences += [
            f'{key} {theirs[key]} for {size}'
            for key, size in ours.items()
            if isinstance(size, int) and theirs.get(key, size) != size
        ]
    if differences:
        raise CheckpointError(
            f'the configuration does not fit the weights beside it: {", ".join(differences)} '
            '(configuration for weights); take both from one source'
        )


def make_config(sizes: Mapping[str, int], heads: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The configuration for weights of these sizes, for ``XCLIPModel.from_pretrained``.

    Args:
        sizes: from :func:`mmxclip.checkpoints.architecture.sizes_of`.
        heads: by part; parts left out have one per 64 channels.
    """
    heads = usual_heads(sizes) | dict(heads or {})
    return dict(
        architectures=['XCLIPModel'],
        model_type='xclip',
        projection_dim=sizes['joint_width'],
        prompt_layers=sizes['prompt_layers'],
        prompt_num_attention_heads=heads['prompt'],
        prompt_hidden_act='quick_gelu',
        vision_config=dict(
            model_type='xclip_vision_model',
            hidden_size=sizes['width'],
            intermediate_size=4 * sizes['width'],
            num_hidden_layers=sizes['num_layers'],
            num_attention_heads=heads['backbone'],
            mit_hidden_size=sizes['joint_width'],
            mit_intermediate_size=4 * sizes['joint_width'],
            mit_num_hidden_layers=sizes['neck_layers'],
            mit_num_attention_heads=heads['neck'],
            image_size=sizes['grid_size'] * sizes['patch_size'],
            patch_size=sizes['patch_size'],
            num_frames=sizes['num_frames'],
            hidden_act='quick_gelu',
        ),
        text_config=dict(
            model_type='xclip_text_model',
            vocab_size=sizes['vocab_size'],
            hidden_size=sizes['text_width'],
            intermediate_size=4 * sizes['text_width'],
            num_hidden_layers=sizes['text_layers'],
            num_attention_heads=heads['text_encoder'],
            max_position_embeddings=sizes['context_length'],
            hidden_act='quick_gelu',
        ),
    )


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of a configuration; old files have it twice, the second one wins."""
    if not name:
        return config
    first, second = config.get(name) or {}, config.get(f'{name}_dict') or {}
    return {**first, **second}
