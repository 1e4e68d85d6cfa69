"""States of all generators survive a file that may hold nothing but data."""

import random

import numpy as np
import pytest
import torch

from mmxclip.engine.random_state import capture, preserved, restore


def draw():
    return (
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        np.random.randint(1000),
        torch.rand(3).tolist(),
        torch.randn(3).tolist(),
    )


@pytest.mark.parametrize('before', [0, 1, 7])
def test_round_trip_through_a_safe_file(tmp_path, before):
    for _ in range(before):  # an odd number leaves half a pair of normal numbers behind
        draw()
    torch.save(capture(), tmp_path / 'state.pth')
    expected = [draw() for _ in range(300)]  # past the 624 words of a Mersenne twister
    restore(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert [draw() for _ in range(300)] == expected


def test_capture_changes_nothing():
    state = capture()
    capture()
    expected = draw()
    restore(state)
    assert draw() == expected


def test_preserved():
    state = capture()
    expected = draw()
    restore(state)
    with pytest.raises(KeyError), preserved():
        draw()
        raise KeyError
    assert draw() == expected
