"""The measure by which a file is kept or not."""

from __future__ import annotations

import math

import pytest
import torch

from mmxclip.errors import DataError
from mmxclip.export.check import Difference, _worst, require

ZERO = Difference(0.0, 0.0)


def test_relative_to_the_largest_logit():
    expected = torch.tensor([[20.0, -50.0]])
    off = _worst(ZERO, expected, expected + torch.tensor([[0.0, 0.1]]), expected.softmax(-1))
    assert off.logits == pytest.approx(0.002, rel=1e-3)
    assert off.probabilities == 0


def test_the_largest_of_all_cases_counts():
    expected = torch.tensor([[1.0, 2.0]])
    good = _worst(Difference(0.5, 0.25), expected, expected, expected.softmax(-1))
    assert good == Difference(0.5, 0.25)


@pytest.mark.parametrize('order', [1, -1])
def test_not_a_number_is_kept(order):
    expected = torch.tensor([[1.0, 2.0]])
    outputs = [expected, expected * math.nan][::order]
    worst = ZERO
    for logits in outputs:
        worst = _worst(worst, expected, logits, expected.softmax(-1))
    assert math.isnan(worst.logits)
    assert not worst.within


def test_another_shape_is_not_broadcast():
    expected = torch.ones(2, 3)
    assert _worst(ZERO, expected, torch.ones(1, 3), torch.ones(1, 3)).logits == math.inf


@pytest.mark.parametrize('off', [Difference(2e-4, 0), Difference(0, 2e-4)])
def test_either_is_refused(off):
    with pytest.raises(DataError, match=r'x.onnx was not written: .* by .*more than 1e-04; try'):
        require(off, 'x.onnx')


def test_within():
    require(Difference(1e-4, 1e-4), 'x.onnx')
