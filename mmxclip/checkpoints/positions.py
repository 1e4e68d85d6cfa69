"""Position tables fitted to another number of frames or patches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from mmxclip.errors import CheckpointError


def resize_time_positions(table: Tensor, num_frames: int) -> Tensor:
    """Interpolate temporal positions linearly; ``(1, T, E) -> (1, num_frames, E)``.

    Frames are taken as the centres of equal segments, which is how both clips
    sample a video, so the two clocks agree.
    """
    resized = F.interpolate(
        _at_least_float32(table).transpose(1, 2),
        size=num_frames,
        mode='linear',
        align_corners=False,
    )
    return resized.transpose(1, 2).to(table.dtype)


def resize_grid_positions(table: Tensor, grid_size: int) -> Tensor:
    """Interpolate patch positions bicubically; ``(1 + P, D) -> (1 + grid_size**2, D)``.

    The first row, the class token's, is kept.

    Raises:
        CheckpointError: when the patches of the table form no square.
    """
    cls, patches = table[:1], table[1:]
    side = round(len(patches) ** 0.5)
    if side < 1 or side**2 != len(patches):
        raise CheckpointError(
            f'a position table of shape {tuple(table.shape)} cannot be resized; expected one row '
            'for the class token and a square number of rows for the patches'
        )
    grid = _at_least_float32(patches).reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(
        grid, size=(grid_size, grid_size), mode='bicubic', align_corners=False, antialias=True
    )
    return torch.cat([cls, grid.permute(0, 2, 3, 1).flatten(0, 2).to(table.dtype)])


def _at_least_float32(table: Tensor) -> Tensor:
    """Half precision has no interpolation on every device, and would round twice."""
    return table.to(torch.promote_types(table.dtype, torch.float32))
