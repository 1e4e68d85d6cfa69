from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mmxclip.checkpoints.positions import resize_grid_positions, resize_time_positions
from mmxclip.errors import CheckpointError


def slow_time(table: Tensor, num_frames: int) -> Tensor:
    """NumPy's linear interpolation between the centres of equal segments."""
    own = (np.arange(table.shape[1]) + 0.5) / table.shape[1]
    wanted = (np.arange(num_frames) + 0.5) / num_frames
    columns = [np.interp(wanted, own, column) for column in table[0].double().T.numpy()]
    return torch.tensor(np.stack(columns, axis=1))[None]


@pytest.mark.parametrize('num_frames', [1, 2, 3, 5, 8, 16, 33])
def test_time_is_linear_between_centres(num_frames):
    table = torch.randn(1, 8, 5, dtype=torch.float64)
    resized = resize_time_positions(table, num_frames)
    torch.testing.assert_close(resized, slow_time(table, num_frames), rtol=0, atol=1e-12)


def test_time_of_the_same_length_is_unchanged():
    table = torch.randn(1, 8, 5)
    torch.testing.assert_close(resize_time_positions(table, 8), table, rtol=0, atol=0)


def test_time_runs_backwards_alike():
    """No direction is preferred."""
    table = torch.randn(1, 8, 5, dtype=torch.float64)
    forwards = resize_time_positions(table, 5)
    backwards = resize_time_positions(table.flip(1), 5).flip(1)
    torch.testing.assert_close(forwards, backwards, rtol=0, atol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype):
    """Computed in at least float32, rounded once."""
    time = torch.randn(1, 4, 3).to(dtype)
    resized = resize_time_positions(time, 7)
    assert resized.dtype == dtype
    expected = slow_time(time, 7)
    tolerance = 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(resized.double(), expected, rtol=tolerance, atol=tolerance)
    grid = torch.randn(1 + 9, 3).to(dtype)
    assert resize_grid_positions(grid, 4).dtype == dtype


def test_time_passes_gradients():
    table = torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resize_time_positions(x, 6), table)


def ramp(side: int) -> Tensor:
    """A class row and a plane over the grid, in coordinates from 0 to 1; ``(1 + P, 2)``."""
    centres = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    grid = torch.stack(torch.meshgrid(centres, centres, indexing='ij'), dim=-1)
    return torch.cat([torch.tensor([[7.0, -7.0]], dtype=torch.float64), grid.reshape(-1, 2)])


@pytest.mark.parametrize(('side', 'other'), [(14, 24), (24, 14), (16, 16)])
def test_grid_keeps_a_plane(side, other):
    """Rows stay rows and columns columns; away from the border places move by no more than 5 %
    of a patch (a kernel that shrinks and smooths is not exact on planes).
    """
    resized = resize_grid_positions(ramp(side), other)
    expected = ramp(other)
    assert resized.shape == expected.shape
    assert torch.equal(resized[0], expected[0])  # the class token's
    inner = slice(other // 4, -(other // 4))
    actual = resized[1:].reshape(other, other, 2)[inner, inner]
    torch.testing.assert_close(
        actual, expected[1:].reshape(other, other, 2)[inner, inner], rtol=0, atol=0.05 / other
    )


@pytest.mark.parametrize('rows', [1 + 8, 1, 1 + 2])
def test_grids_that_are_no_square(rows):
    match = rf'position table of shape \({rows}, 5\) cannot be resized; .*square number of rows'
    with pytest.raises(CheckpointError, match=match):
        resize_grid_positions(torch.zeros(rows, 5), 4)
