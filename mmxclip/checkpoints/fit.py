"""Whether a state dict fits a module, told before anything is copied."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from mmxclip.errors import CheckpointError

MAX_LISTED = 8


def check_fit(
    expected: Mapping[str, torch.Tensor],
    state_dict: Mapping[str, torch.Tensor],
    *,
    prefix: str = '',
) -> None:
    """Refuse weights of other sizes, or of another model altogether.

    MMEngine loads with ``strict=False``: a misshapen or foreign tensor is left
    out with a warning, and the run goes on with random values in its place.
    Keys that one side alone has are no fault here, since a checkpoint may hold
    a part of a model, and a model may have parts that a checkpoint lacks.

    Args:
        expected: ``module.state_dict()`` of the module to be filled.
        state_dict: what is to be loaded; only keys below ``prefix`` are read.
        prefix: put before each name of ``expected`` to find it in
            ``state_dict``, as ``nn.Module`` passes it to its load hooks:
            ``'backbone.'``, with the dot.

    Raises:
        CheckpointError: a tensor has another shape (lists names and both
            shapes), or no name is shared at all.
    """
    if not expected:
        return
    shared = [name for name in expected if prefix + name in state_dict]
    if not shared:
        raise CheckpointError(_foreign(expected, state_dict, prefix))
    misfits = []
    for name in shared:
        want, got = _shape(expected[name]), _shape(state_dict[prefix + name])
        if want is not None and got is not None and want != got:
            misfits.append(f'{prefix}{name} is {got} in the checkpoint and {want} in the model')
    if misfits:
        raise CheckpointError(
            f'{len(misfits)} of {len(shared)} weights have another shape than the model: '
            f'{_listed(misfits, "; ")}; give the model the sizes that the checkpoint was '
            'trained with, or load another checkpoint'
        )


def _shape(value: object) -> tuple[int, ...] | None:
    """The shape of a tensor; None for what has none (extra state, lazy parameters)."""
    if not isinstance(value, torch.Tensor) or torch.nn.parameter.is_lazy(value):
        return None
    return tuple(value.shape)


def _foreign(expected: Collection[str], found: Collection[str], prefix: str) -> str:
    below = [key for key in found if key.startswith(prefix)]
    wants = _listed([prefix + name for name in expected], ', ', 3)
    if not below:
        where = f'under "{prefix}" ' if prefix and found else ''
        return f'the checkpoint holds no weights {where}at all; expected names such as {wants}'
    message = (
        'the checkpoint shares no weight name with the model: '
        f'it has {_listed(below, ", ", 3)}, expected {wants}; '
    )
    extra = _superfluous_prefix(expected, below, prefix)
    if extra is not None:
        return message + f'its names carry "{extra}" in front: strip it, or load the inner part'
    return message + 'load a checkpoint of this model, or convert the foreign one first'


def _superfluous_prefix(
    expected: Collection[str], found: Collection[str], prefix: str
) -> str | None:
    """The text before the names in the checkpoint, if they are right after it."""
    first = next(iter(expected))
    for key in found:
        inner = key[len(prefix) :]
        if inner.endswith('.' + first):
            return inner[: -len(first)]
    return None


def _listed(items: list[str], separator: str, limit: int = MAX_LISTED) -> str:
    rest = len(items) - limit
    return separator.join(items[:limit]) + (f'{separator}and {rest} more' if rest > 0 else '')
