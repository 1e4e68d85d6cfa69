"""From any format of weights to any other, with nothing dropped in silence."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor

from mmxclip.checkpoints import huggingface
from mmxclip.checkpoints.architecture import expected_state, sizes_of
from mmxclip.checkpoints.formats import FORMATS, OPENAI_NUMBERS, Format, recognise
from mmxclip.checkpoints.key_tables import list_keys
from mmxclip.errors import CheckpointError

TARGETS = ('mmxclip', 'official', 'hf')
NOTE = 'mmxclip'
"""Key in the ``_metadata`` of a state dict, where PyTorch keeps what is no tensor."""


@torch.no_grad()
def convert_state_dict(
    state_dict: Mapping[str, Tensor],
    source: str = 'auto',
    target: str = 'mmxclip',
    position_ids: bool | None = None,
) -> dict[str, Tensor]:
    """Convert weights between formats, exactly.

    Every tensor keeps its dtype and its bits. ``official`` to ``mmxclip`` and
    back, and ``hf`` to ``mmxclip`` and back, give the same keys and bytes.

    Args:
        state_dict: tensors under their names.
        source: ``'official'`` (the authors'), ``'hf'`` (transformers), OpenAI's
            ``'openai'`` or ``'open_clip'``, ``'mmxclip'``; ``'auto'`` tells it
            from the keys.
        target: ``'mmxclip'``, ``'official'`` or ``'hf'``.
        position_ids: whether to write the buffers of this name, which
            transformers saved until version 4.31; only for ``'hf'``. None
            writes those that the weights had when they came from there.

    Returns:
        A new dict; tensors that only change their name are the same objects.
        Weights of an image-text model give the towers and the temperature.

    Raises:
        CheckpointError: for tensors that are missing, extra or misshapen, all
            in one message with names of the source; for an unknown format; or
            when the target needs parts that the source lacks.
    """
    found = find_format(state_dict, source)
    if target not in TARGETS:
        raise CheckpointError(f'target={target!r} is not known; expected one of {TARGETS}')
    if found.name == target and (target != 'hf' or position_ids is None):
        check_complete(state_dict, found)
        return OrderedDict(state_dict)
    own = found.to_own(state_dict)
    check_complete(state_dict, found, own)
    ids = _position_ids(state_dict, found, position_ids)
    if target == 'mmxclip':
        return _noted(own, ids)
    check_complete(own, FORMATS['mmxclip'], own, whole=True)
    return huggingface.from_own(own, ids) if target == 'hf' else FORMATS[target].from_own(own)


def to_own(state_dict: Mapping[str, Tensor], source: str = 'auto') -> dict[str, Tensor]:
    """Bring weights under our names without asking whether they are complete.

    Raises:
        CheckpointError: for an unknown format or unknown keys.
    """
    return find_format(state_dict, source).to_own(state_dict)


def check_complete(
    state_dict: Mapping[str, Tensor],
    source: Format,
    own: Mapping[str, Tensor] | None = None,
    whole: bool | None = None,
) -> None:
    """Refuse weights of which a part is missing, extra or misshapen.

    The widths are read from a few tensors, depths from the largest number in
    the names; all other tensors follow from those.

    Args:
        state_dict: weights in the format ``source``.
        source: their format. Our own is only looked at with ``whole``, since
            our models may have other parts.
        own: the same under our names.
        whole: whether all parts of X-CLIP must be there; None for what the
            format says.

    Raises:
        CheckpointError: lists the keys, by their names in the source.
    """
    if source.name == 'mmxclip' and not whole:
        return
    own = source.to_own(state_dict) if own is None else own
    sizes = sizes_of(own, source.name_of)
    if source.complete if whole is None else whole:
        at_least = dict(messages=1, prompts=1, neck_layers=1, prompt_layers=1, num_frames=0)
        sizes |= {part: max(sizes.get(part, 0), least) for part, least in at_least.items()}
    else:
        sizes |= dict(messages=0, prompts=0)
        sizes.pop('num_frames', None)
    problems = _problems(state_dict, source, source.from_own(expected_state(sizes)))
    if problems:
        whole = whole or source.complete
        raise CheckpointError(
            f'these are not the weights of {source.holds}: {"; ".join(problems)}; '
            + ('expected a complete X-CLIP' if whole else 'expected two complete towers')
        )
    if not source.complete:
        _check_numbers(state_dict, sizes)


def _problems(
    state_dict: Mapping[str, Tensor], source: Format, expected: Mapping[str, Tensor]
) -> list[str]:
    """What is missing, extra and misshapen, each kind with its keys."""
    ignored = (*huggingface.POSITION_IDS, *OPENAI_NUMBERS)
    names = {_plain(key, source): key for key in state_dict if key not in ignored}
    missing = [name for name in expected if name not in names]
    extra = [key for name, key in names.items() if name not in expected]
    misshapen = [
        f'{key} {tuple(state_dict[key].shape)} for {tuple(expected[name].shape)}'
        for name, key in names.items()
        if name in expected and state_dict[key].shape != expected[name].shape
    ]
    return [
        f'{len(keys)} tensors are {what}: {list_keys(keys)}'
        for what, keys in (('missing', missing), ('extra', extra), ('misshapen', misshapen))
        if keys
    ]


def find_format(state_dict: Mapping[str, Tensor], source: str = 'auto') -> Format:
    """The format called ``source``, or the one that the keys tell.

    Raises:
        CheckpointError: for an unknown name, or when the keys do not tell.
    """
    if source == 'auto':
        return recognise(state_dict)
    if source not in FORMATS:
        raise CheckpointError(
            f'source={source!r} is not known; expected auto or one of {tuple(FORMATS)}'
        )
    return FORMATS[source]


def _plain(key: str, source: Format) -> str:
    """A key as the table of its format writes it."""
    return key if source.complete else key.removeprefix('text.')


def _check_numbers(state_dict: Mapping[str, Tensor], sizes: Mapping[str, int]) -> None:
    """OpenAI's archives say three sizes twice."""
    told = dict(
        input_resolution=sizes['grid_size'] * sizes['patch_size'],
        context_length=sizes['context_length'],
        vocab_size=sizes['vocab_size'],
    )
    for name, size in told.items():
        if name in state_dict and int(state_dict[name]) != size:
            raise CheckpointError(
                f'{name} is {int(state_dict[name])} and the tensors are of {size}; '
                'the file is damaged'
            )


def _position_ids(
    state_dict: Mapping[str, Tensor], source: Format, wanted: bool | None
) -> list[str]:
    """Names of the buffers to write, now or on the way back."""
    if wanted is not None:
        return list(huggingface.POSITION_IDS) if wanted else []
    if source.name == 'hf':
        return [name for name in huggingface.POSITION_IDS if name in state_dict]
    noted = (getattr(state_dict, '_metadata', None) or {}).get(NOTE, {})
    return [name for name in huggingface.POSITION_IDS if name in noted.get('position_ids', ())]


def _noted(own: dict[str, Tensor], position_ids: list[str]) -> dict[str, Tensor]:
    """Our state dict, with a note of the buffers that its source had."""
    noted = OrderedDict(own)
    if position_ids:
        noted._metadata = {NOTE: {'position_ids': position_ids}}  # type: ignore[attr-defined]
    return noted
