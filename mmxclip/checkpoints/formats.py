"""The formats that weights come in, and how each is recognised by its keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmxclip.checkpoints import huggingface
from mmxclip.checkpoints.key_tables import OFFICIAL, KeyTable, list_keys
from mmxclip.errors import CheckpointError

OPENAI_NUMBERS = ('input_resolution', 'context_length', 'vocab_size')
"""Sizes that OpenAI's archives hold beside the weights; they are checked and left out."""

_TEXT_PREFIX = 'text.'  # open_clip's CustomTextCLIP keeps the text tower apart
_NEW_PARTS = ('mit.', 'prompts_', 'message_')


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        name: as ``--source`` takes it.
        holds: what it is, for messages.
        to_own: brings a state dict under our names.
        from_own: brings it back.
        complete: whether it always holds a whole X-CLIP, and not the towers of
            an image-text model.
    """

    name: str
    holds: str
    to_own: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    from_own: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    complete: bool

    def name_of(self, own: str) -> str:
        """Name in this format of a tensor with our name ``own``, one that is not cut in parts."""
        return next(iter(self.from_own({own: torch.empty(1, 1, device='meta')})))


def _clip_to_own(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    twice = [key for key in state_dict if _TEXT_PREFIX + key in state_dict]
    if twice:
        raise CheckpointError(
            f'{len(twice)} tensors are there with and without "{_TEXT_PREFIX}" in front: '
            f'{list_keys(twice)}; the file holds two text towers'
        )
    return OFFICIAL.convert(
        {
            key.removeprefix(_TEXT_PREFIX): value
            for key, value in state_dict.items()
            if key not in OPENAI_NUMBERS
        }
    )


_to_official = OFFICIAL.inverse()
_CLIP = (_clip_to_own, _to_official.convert, False)

FORMATS = {
    entry.name: entry
    for entry in (
        Format('official', "the authors' X-CLIP", OFFICIAL.convert, _to_official.convert, True),
        Format('hf', "transformers' X-CLIP", huggingface.to_own, huggingface.from_own, True),
        Format('openai', "OpenAI's CLIP", *_CLIP),
        Format('open_clip', 'an open_clip model', *_CLIP),
        Format('mmxclip', "this package's XCLIP", dict, dict, False),
    )
}

_FAMILIES: dict[str, KeyTable] = {
    'official': OFFICIAL,
    'hf': huggingface.HUGGING_FACE,
    'mmxclip': _to_official,
}


def recognise(state_dict: Mapping[str, Tensor]) -> Format:
    """Tell the format of a state dict from its keys.

    Keys that two formats share say nothing. OpenAI's and open_clip's state
    dicts differ by three numbers that OpenAI's archives carry.

    Raises:
        CheckpointError: when no format, or more than one, is seen.
    """
    seen = Counter(family for key in state_dict for family in _families(key))
    if len(seen) > 1:
        counts = ', '.join(f'{count} of {FORMATS[name].holds}' for name, count in seen.items())
        raise CheckpointError(
            f'the checkpoint mixes formats: {counts}; give the source, or split the file'
        )
    if not seen:
        raise CheckpointError(
            f'the format of the checkpoint is not known; it holds {len(state_dict)} tensors: '
            f'{list_keys(list(state_dict)) or "none"}; expected '
            + ', '.join(f'{entry.holds} ({name})' for name, entry in FORMATS.items())
        )
    family = next(iter(seen))
    if family == 'official' and not any(part in key for key in state_dict for part in _NEW_PARTS):
        family = 'openai' if any(key in state_dict for key in OPENAI_NUMBERS) else 'open_clip'
    return FORMATS[family]


def _families(key: str) -> list[str]:
    """The one family of formats that knows a key; none when several or none do."""
    known = [name for name, table in _FAMILIES.items() if table.rename(key) is not None]
    if not known and OFFICIAL.rename(key.removeprefix(_TEXT_PREFIX)) is not None:
        known = ['official']
    return known if len(known) == 1 else []


def is_known(key: str) -> bool:
    """Whether one of the formats has this key, and no other."""
    return bool(_families(key))
