"""Foreign weights taken in where a model is filled, so that ``load_from`` reads any format."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, MutableMapping
from typing import Any

from mmengine.logging import print_log

from mmxclip.checkpoints.convert import convert_state_dict, find_format
from mmxclip.checkpoints.files import WRAPPINGS, find_weights
from mmxclip.checkpoints.formats import is_known
from mmxclip.checkpoints.key_tables import OFFICIAL, list_keys
from mmxclip.errors import CheckpointError

_ours = OFFICIAL.inverse()
_NUMBER = re.compile(r'\.\d+\.')


def adopt(state_dict: MutableMapping[str, Any], own: Collection[str]) -> None:
    """Bring a foreign state dict under our names, in place.

    MMEngine hands on what stands under ``state_dict`` in a file and otherwise
    the whole file, so the authors' ``{'model': ...}`` arrives here as well.

    Args:
        state_dict: what is to be loaded. Left alone when it holds any of our
            names, or is of no format that we know.
        own: names of the model's parameters and buffers.

    Raises:
        CheckpointError: the foreign weights are not complete, or lack tensors
            of an X-CLIP that the model has. Weights of an image-text model may
            lack the parts that X-CLIP adds: they keep their values, with a
            warning that lists them.
    """
    if any(name in state_dict for name in own):
        return
    wrapped = any(isinstance(state_dict.get(key), dict) for key in WRAPPINGS)
    weights = find_weights(state_dict, 'the checkpoint') if wrapped else dict(state_dict)
    if not any(map(is_known, weights)):
        return  # told by the check that follows, which knows what the model expects
    source = find_format(weights)
    converted = convert_state_dict(weights, source.name)
    missing = [name for name in own if name not in converted and _ours.rename(name)]
    lost = [name for name in missing if source.complete or not _is_new(name)]
    if lost:
        raise CheckpointError(
            f'{source.holds} in the checkpoint lacks {len(lost)} tensors of the model: '
            f'{list_keys(lost)}; give the model the depth of the weights'
        )
    if missing:
        print_log(
            f'the checkpoint holds {source.holds}, image and text towers alone; '
            f'{len(missing)} tensors keep their initial values: {", ".join(_patterns(missing))}',
            logger='current',
            level=logging.WARNING,
        )
    state_dict.clear()
    state_dict.update(converted)


def _is_new(name: str) -> bool:
    """Whether a tensor belongs to what X-CLIP adds to an image-text model."""
    return name.startswith(('neck.', 'cls_head.prompt.')) or '.message_' in name


def _patterns(names: list[str]) -> list[str]:
    """Names with ``*`` for numbers, each once."""
    return list(dict.fromkeys(_NUMBER.sub('.*.', name) for name in names))
