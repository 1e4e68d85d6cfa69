"""Frames show what the scene says."""

import numpy as np
import pytest

from mmxclip.datasets.motion.rendering import outline, render
from mmxclip.datasets.motion.scenes import SHAPES, Scene


def scene(shape='circle', x=0.5, y=0.5, radius=0.2, angle=0.0, background=0.0):
    return Scene(
        shape=shape,
        rgb=np.array([200.0, 100.0, 50.0]),
        x=np.array([x]),
        y=np.array([y]),
        radius=np.array([radius]),
        angle=np.array([angle]),
        background=np.full((2, 2), background),
    )


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('x', 'y'), [(0.3, 0.6), (0.71, 0.41)])
def test_a_shape_is_where_and_as_large_as_the_scene_says(shape, x, y):
    size = 80
    frame = render(scene(shape, x, y, angle=20.0), size)[0]
    assert frame.shape == (size, size, 3)
    assert frame.dtype == np.uint8
    mass = frame[..., 0] / 200
    rows, columns = np.mgrid[:size, :size] + 0.5
    assert (mass * columns).sum() / mass.sum() / size == pytest.approx(x, abs=0.004)
    assert (mass * rows).sum() / mass.sum() / size == pytest.approx(y, abs=0.004)
    area = {'circle': np.pi, 'square': 2, 'triangle': 3 * 3**0.5 / 4}[shape] * (0.2 * size) ** 2
    assert mass.sum() == pytest.approx(area, rel=0.03)


def test_colour_and_background():
    frame = render(scene(background=40.0), 40)[0]
    assert frame[20, 20].tolist() == [200, 100, 50]
    assert frame[0, 0].tolist() == [40, 40, 40]


def test_the_background_runs_between_its_corners():
    corners = np.array([[0.0, 80.0], [40.0, 60.0]])
    frame = render(
        Scene(**{**vars(scene(radius=0.0)), 'background': corners}),
        20,
    )[0, ..., 0]
    assert [frame[0, 0], frame[0, -1], frame[-1, 0], frame[-1, -1]] == [0, 80, 40, 60]
    assert (np.diff(frame[0].astype(int)) >= 0).all()


def test_the_angle_turns_clockwise():
    # y points down, so clockwise as seen is from x towards y
    np.testing.assert_allclose(outline('triangle', 90)[0], [0, 1], atol=1e-12)
    np.testing.assert_allclose(np.hypot(*outline('square', 33).T), 1)
