"""What a state dict says about the model that it belongs to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from mmxclip.checkpoints.key_tables import OFFICIAL, list_keys
from mmxclip.errors import CheckpointError

VISION = 'backbone.'
NECK = 'neck.'
PROMPT = 'cls_head.prompt.'
TEXT = 'cls_head.text_encoder.tower.'

ANCHORS = (
    f'{VISION}patch_embed.weight',
    f'{VISION}positional_embedding',
    f'{VISION}proj',
    f'{TEXT}positional_embedding',
    f'{TEXT}token_embedding.weight',
)
"""Tensors that together tell the width of everything."""

_LISTS = {
    'num_layers': f'{VISION}blocks.',
    'neck_layers': f'{NECK}blocks.',
    'prompt_layers': f'{PROMPT}layers.',
    'text_layers': f'{TEXT}transformer.resblocks.',
}
_LEAF_SHAPES = (
    # (end of our name, shape in terms of the width of the part)
    (r'qkv\.weight|in_proj_weight', '3d,d'),
    (r'qkv\.bias|in_proj_bias', '3d'),
    (r'(fc1|c_fc)\.weight', '4d,d'),
    (r'(fc1|c_fc)\.bias', '4d'),
    (r'(fc2|c_proj)\.weight', 'd,4d'),
    (r'(out_proj|message_fc|[qkv]_proj)\.weight', 'd,d'),
)


def infer_architecture(
    state_dict: Mapping[str, Tensor], heads: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Config of the model that a state dict fills completely.

    Args:
        state_dict: tensors in any format that :func:`convert_state_dict` reads.
            Weights of an image-text model give the model without messages,
            integration over time and prompts.
        heads: attention heads by part, ``backbone``, ``neck``, ``prompt`` and
            ``text_encoder``, where they are not one per 64 channels: no tensor
            tells them. :func:`mmxclip.checkpoints.heads_of` reads them from a
            Hugging Face configuration.

    Returns:
        ``backbone``, ``neck`` and ``cls_head``, so that
        ``MODELS.build(dict(type='XCLIP', **infer_architecture(state_dict)))``
        has these weights' names and shapes. Class names are the user's to add.

    Raises:
        CheckpointError: for an unknown format, or when tensors that tell the
            sizes are missing.
    """
    from mmxclip.checkpoints.convert import to_own

    return config_of(sizes_of(to_own(state_dict)), heads or {})


def sizes_of(state: Mapping[str, Tensor], name_of: Callable[[str], str] = str) -> dict[str, int]:
    """Sizes of the model with a state dict under our names.

    Args:
        state: the tensors.
        name_of: how errors call a tensor of ours.

    Returns:
        ``width``, ``patch_size``, ``grid_size``, ``joint_width``,
        ``text_width``, ``context_length``, ``vocab_size`` and the depths
        ``num_layers``, ``neck_layers``, ``prompt_layers``, ``text_layers``;
        ``num_frames`` when there is an integration over time; ``messages`` and
        ``prompts``, 0 or 1.

    Raises:
        CheckpointError: when tensors that tell the sizes are missing, or names
            count more layers than there are tensors.
    """
    missing = [name_of(name) for name in ANCHORS if name not in state]
    if missing:
        raise CheckpointError(
            f'{len(missing)} tensors that tell the sizes are missing: {list_keys(missing)}; '
            'expected the weights of a whole X-CLIP or of both towers of an image-text model'
        )
    misshapen = [
        f'{name_of(name)} {tuple(state[name].shape)}'
        for name, dims in zip(ANCHORS, (4, 2, 2, 2, 2), strict=True)
        if state[name].dim() != dims
    ]
    if misshapen:
        raise CheckpointError(f'tensors of unexpected shapes: {list_keys(misshapen)}')
    width, _, _, patch_size = state[ANCHORS[0]].shape
    sizes = dict(
        width=width,
        patch_size=patch_size,
        grid_size=math.isqrt(max(0, state[ANCHORS[1]].shape[0] - 1)),
        joint_width=state[ANCHORS[2]].shape[1],
        context_length=state[ANCHORS[3]].shape[0],
        vocab_size=state[ANCHORS[4]].shape[0],
        text_width=state[ANCHORS[4]].shape[1],
        messages=int(any('.message_' in name for name in state)),
        prompts=int(any(name.startswith(PROMPT) for name in state)),
    )
    for part, prefix in _LISTS.items():
        sizes[part] = _depth(state, prefix)
        if sizes[part] > len(state):
            raise CheckpointError(
                f'a name below {prefix} counts {sizes[part]} layers in a file of {len(state)} '
                'tensors; the file is damaged'
            )
    table = state.get(f'{NECK}positional_embedding')
    if table is not None:
        sizes['num_frames'] = table.shape[1] if table.dim() == 3 else 0
    return sizes


def config_of(sizes: Mapping[str, int], heads: Mapping[str, int]) -> dict[str, Any]:
    """Build configs of backbone, neck and head from :func:`sizes_of`."""
    backbone: dict[str, Any] = dict(
        type='CrossFrameViT',
        img_size=sizes['grid_size'] * sizes['patch_size'],
        patch_size=sizes['patch_size'],
        embed_dims=sizes['width'],
        num_layers=sizes['num_layers'],
        output_dims=sizes['joint_width'],
        **_heads(heads, 'backbone'),
    )
    if not sizes['messages']:
        backbone['cross_frame'] = False
    neck: dict[str, Any] = dict(type='FrameAverage')
    if 'num_frames' in sizes:
        neck = dict(
            type='MultiFrameIntegrationTransformer',
            embed_dims=sizes['joint_width'],
            num_frames=sizes['num_frames'],
            num_layers=sizes['neck_layers'],
            **_heads(heads, 'neck'),
        )
    text_encoder = dict(
        type='CLIPTextEncoder',
        output_dims=sizes['joint_width'],
        embed_dims=sizes['text_width'],
        num_layers=sizes['text_layers'],
        context_length=sizes['context_length'],
        vocab_size=sizes['vocab_size'],
        **_heads(heads, 'text_encoder'),
    )
    head: dict[str, Any] = dict(type='VideoPromptHead', text_encoder=text_encoder, prompt=None)
    if sizes['prompts']:
        head['patch_channels'] = sizes['width']
        head['prompt'] = dict(num_layers=sizes['prompt_layers'], **_heads(heads, 'prompt'))
    return dict(backbone=backbone, neck=neck, cls_head=head)


def expected_state(sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Every tensor of a model of these sizes, under our names, on the meta device."""
    return {name: torch.empty(_shape(name, sizes), device='meta') for name in _names(sizes)}


def _names(sizes: Mapping[str, int]) -> Iterable[str]:
    for _, pattern in OFFICIAL.pairs:
        if '.message_' in pattern and not sizes['messages']:
            continue
        if pattern.startswith(NECK) and 'num_frames' not in sizes:
            continue
        if pattern.startswith(PROMPT) and not sizes['prompts']:
            continue
        if '{i}' not in pattern:
            yield pattern
            continue
        part = next(part for part, prefix in _LISTS.items() if pattern.startswith(prefix))
        yield from (pattern.format(i=index) for index in range(sizes[part]))


def _shape(name: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Shape of one tensor."""
    vision, joint, text = sizes['width'], sizes['joint_width'], sizes['text_width']
    special = {
        f'{VISION}patch_embed.weight': (vision, 3, sizes['patch_size'], sizes['patch_size']),
        f'{VISION}positional_embedding': (sizes['grid_size'] ** 2 + 1, vision),
        f'{VISION}proj': (vision, joint),
        f'{NECK}positional_embedding': (1, sizes.get('num_frames', 0), joint),
        f'{PROMPT}patch_proj': (vision, joint),
        f'{TEXT}positional_embedding': (sizes['context_length'], text),
        f'{TEXT}token_embedding.weight': (sizes['vocab_size'], text),
        f'{TEXT}text_projection': (text, joint),
        'cls_head.logit_scale': (),
    }
    if name in special:
        return special[name]
    width = joint
    if name.startswith((VISION, f'{PROMPT}patch_norm')):
        width = vision
    elif name.startswith(TEXT):
        width = text
    for ending, shape in _LEAF_SHAPES:
        if re.search(rf'\.({ending})$', name):
            return tuple(int(size[:-1] or 1) * width for size in shape.split(','))
    return (width,)


def _depth(state: Iterable[str], prefix: str) -> int:
    """One more than the largest number that follows ``prefix``."""
    numbers = (name[len(prefix) :].split('.')[0] for name in state if name.startswith(prefix))
    return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)


def _heads(heads: Mapping[str, int], part: str) -> dict[str, int]:
    return {'num_heads': heads[part]} if part in heads else {}
