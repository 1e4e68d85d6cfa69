"""Names of parameters in other formats, as tables that are read in both directions.

A table is a list of pairs ``(their name, our name)`` in which ``{i}`` stands for
one number. Every tensor keeps its shape: a table renames, it never computes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmxclip.errors import CheckpointError

_NUMBER = re.compile(r'\{(\w+)\}')
_MAX_LISTED = 5


def list_keys(keys: list[str]) -> str:
    """Name the first few of ``keys`` and count the rest."""
    shown = ', '.join(keys[:_MAX_LISTED])
    more = len(keys) - _MAX_LISTED
    return f'{shown} and {more} more' if more > 0 else shown


class KeyTable:
    """A one-to-one map between two sets of parameter names.

    Args:
        pairs: ``(their pattern, our pattern)``; both hold the same ``{i}``.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._rules = [(_compile(theirs), ours) for theirs, ours in pairs]
        self._renamed: dict[str, str | None] = {}

    def inverse(self) -> KeyTable:
        """The same map read the other way."""
        return KeyTable([(ours, theirs) for theirs, ours in self.pairs])

    def rename(self, key: str) -> str | None:
        """Our name of ``key``; None when no rule knows it."""
        if key not in self._renamed:
            matches = ((pattern.fullmatch(key), ours) for pattern, ours in self._rules)
            names = (ours.format_map(match.groupdict()) for match, ours in matches if match)
            self._renamed[key] = next(names, None)
        return self._renamed[key]

    def convert(
        self, state_dict: Mapping[str, Tensor], ignore_unknown: bool = False
    ) -> dict[str, Tensor]:
        """Rename all keys.

        Args:
            state_dict: tensors under their names.
            ignore_unknown: leave out keys that no rule knows, for tables that
                describe one part of a model.

        Raises:
            CheckpointError: for keys that no rule knows, listed.
        """
        named = {key: self.rename(key) for key in state_dict}
        unknown = [key for key, ours in named.items() if ours is None]
        if unknown and not ignore_unknown:
            raise CheckpointError(
                f'{len(unknown)} of {len(state_dict)} keys are not known: {list_keys(unknown)}; '
                'the file holds another kind of model'
            )
        return {ours: state_dict[key] for key, ours in named.items() if ours is not None}

    def fill(self, module: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
        """Copy tensors under our names into those parameters of ``module`` that the table knows.

        Raises:
            CheckpointError: when a tensor is missing or has another shape;
                nothing is copied then.
        """
        known = self.inverse()
        wanted = {
            name: parameter
            for name, parameter in module.named_parameters()
            if known.rename(name) is not None
        }
        kind = type(module).__name__
        missing = [name for name in wanted if name not in state_dict]
        if missing:
            raise CheckpointError(
                f'{kind}: {len(missing)} of {len(wanted)} tensors are missing: '
                f'{list_keys(missing)}; the file holds another model or fewer layers'
            )
        misshapen = [
            f'{name} {tuple(state_dict[name].shape)} for {tuple(parameter.shape)}'
            for name, parameter in wanted.items()
            if state_dict[name].shape != parameter.shape
        ]
        extra = [name for name in state_dict if name not in wanted]
        if misshapen or extra:
            what = f'shapes differ: {list_keys(misshapen)}' if misshapen else ''
            more = f'tensors that the model lacks: {list_keys(extra)}' if extra else ''
            raise CheckpointError(
                f'{kind}: {"; ".join(filter(None, (what, more)))} (file for model); '
                "set embed_dims, patch_size, num_layers and output_dims to the weights' own"
            )
        with torch.no_grad():
            for name, parameter in wanted.items():
                parameter.copy_(state_dict[name])


def _compile(pattern: str) -> re.Pattern[str]:
    parts = _NUMBER.split(pattern)  # text, name, text, name, ...
    regex = ''.join(
        rf'(?P<{part}>\d+)' if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )
    return re.compile(regex)


def _both(theirs: str, ours: str) -> list[tuple[str, str]]:
    return [(f'{theirs}.{leaf}', f'{ours}.{leaf}') for leaf in ('weight', 'bias')]


def _attention(theirs: str, ours: str) -> list[tuple[str, str]]:
    return [
        (f'{theirs}.in_proj_weight', f'{ours}.qkv.weight'),
        (f'{theirs}.in_proj_bias', f'{ours}.qkv.bias'),
        *_both(f'{theirs}.out_proj', f'{ours}.out_proj'),
    ]


def _block(theirs: str, ours: str) -> list[tuple[str, str]]:
    return [
        *_both(f'{theirs}.ln_1', f'{ours}.norm1'),
        *_attention(f'{theirs}.attn', f'{ours}.attn'),
        *_both(f'{theirs}.ln_2', f'{ours}.norm2'),
        *_both(f'{theirs}.mlp.c_fc', f'{ours}.mlp.fc1'),
        *_both(f'{theirs}.mlp.c_proj', f'{ours}.mlp.fc2'),
    ]


def _vision(ours: str) -> list[tuple[str, str]]:
    return [
        ('visual.class_embedding', f'{ours}class_embedding'),
        ('visual.positional_embedding', f'{ours}positional_embedding'),
        ('visual.proj', f'{ours}proj'),
        ('visual.conv1.weight', f'{ours}patch_embed.weight'),
        *_both('visual.ln_pre', f'{ours}ln_pre'),
        *_both('visual.ln_post', f'{ours}ln_post'),
        *_block('visual.transformer.resblocks.{i}', f'{ours}blocks.{{i}}'),
    ]


def _text(ours: str) -> list[tuple[str, str]]:
    block = 'transformer.resblocks.{i}'
    return [
        ('token_embedding.weight', f'{ours}token_embedding.weight'),
        ('positional_embedding', f'{ours}positional_embedding'),
        ('text_projection', f'{ours}text_projection'),
        *_both('ln_final', f'{ours}ln_final'),
        *[
            (f'{block}.{leaf}', f'{ours}{block}.{leaf}')
            for leaf in ('attn.in_proj_weight', 'attn.in_proj_bias')
        ],
        *[
            pair
            for part in ('ln_1', 'ln_2', 'attn.out_proj', 'mlp.c_fc', 'mlp.c_proj')
            for pair in _both(f'{block}.{part}', f'{ours}{block}.{part}')
        ],
    ]


_MESSAGE = 'visual.transformer.resblocks.{i}.'
_DECODER = 'prompts_generator.decoder.{i}.'
_PROMPT = 'cls_head.prompt.'

OPEN_CLIP_VISION = KeyTable(_vision(''))
"""open_clip's and OpenAI's vision tower to the image part of ``CrossFrameViT``."""

OPEN_CLIP_TEXT = KeyTable(_text(''))
"""open_clip's and OpenAI's text tower to ``CLIPTextEncoder.tower``."""

OFFICIAL = KeyTable(
    [
        *_vision('backbone.'),
        *_both(f'{_MESSAGE}message_fc', 'backbone.blocks.{i}.message_fc'),
        *_both(f'{_MESSAGE}message_ln', 'backbone.blocks.{i}.message_norm'),
        *_attention(f'{_MESSAGE}message_attn', 'backbone.blocks.{i}.message_attn'),
        ('mit.positional_embedding', 'neck.positional_embedding'),
        *_block('mit.resblocks.{i}', 'neck.blocks.{i}'),
        *_both('prompts_visual_ln', f'{_PROMPT}patch_norm'),
        ('prompts_visual_proj', f'{_PROMPT}patch_proj'),
        ('prompts_generator.alpha', f'{_PROMPT}alpha'),
        *_both('prompts_generator.norm', f'{_PROMPT}context_norm'),
        *[
            (f'{_DECODER}cross_attn.{name}.weight', f'{_PROMPT}layers.{{i}}.attn.{name}.weight')
            for name in ('q_proj', 'k_proj', 'v_proj')
        ],
        *_both(f'{_DECODER}cross_attn.proj', f'{_PROMPT}layers.{{i}}.attn.out_proj'),
        *_both(f'{_DECODER}norm1', f'{_PROMPT}layers.{{i}}.norm1'),
        *_both(f'{_DECODER}norm3', f'{_PROMPT}layers.{{i}}.norm2'),
        *_both(f'{_DECODER}mlp.0', f'{_PROMPT}layers.{{i}}.mlp.fc1'),
        *_both(f'{_DECODER}mlp.3', f'{_PROMPT}layers.{{i}}.mlp.fc2'),
        ('logit_scale', 'cls_head.logit_scale'),
        *_text('cls_head.text_encoder.tower.'),
    ]
)
"""The authors' X-CLIP files to the state dict of ``XCLIP``."""
