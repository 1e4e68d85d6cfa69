"""The vocabulary of moving shapes, and that no single frame tells the motion."""

from itertools import combinations

import numpy as np
import pytest

from mmxclip.datasets.motion.scenes import (
    COLOURS,
    MOTIONS,
    SEEN_CLASSES,
    SEEN_KINDS,
    SHAPES,
    UNSEEN_CLASSES,
    UNSEEN_KINDS,
    Kind,
    draw_scene,
)
from mmxclip.labels.class_names import load_class_names

PARTS = ('colour', 'shape', 'motion')
TRACKS = ('x', 'y', 'radius', 'angle')
BACKWARDS = {'moving left': 'moving right', 'moving up': 'moving down', 'growing': 'shrinking'}


def scenes(motion, number, num_frames=16, seed=0):
    kind = Kind('red', 'square', motion)
    rng = np.random.default_rng(seed)
    return [draw_scene(kind, num_frames, rng) for _ in range(number)]


def test_every_visible_combination_is_in_one_of_the_two_sets():
    assert len(set(SEEN_CLASSES + UNSEEN_CLASSES)) == len(SEEN_CLASSES) + len(UNSEEN_CLASSES)
    assert len(SEEN_CLASSES) + len(UNSEEN_CLASSES) == 4 * 3 * 7 - 4  # circles do not turn
    assert len(UNSEEN_CLASSES) == 16
    assert 'a red circle growing' in SEEN_CLASSES
    assert 'a red circle moving left' in UNSEEN_CLASSES
    assert not any('circle turning' in name for name in SEEN_CLASSES + UNSEEN_CLASSES)


@pytest.mark.parametrize(('first', 'second'), list(combinations(PARTS, 2)))
def test_what_is_held_out_is_combinations_of_three_not_of_two(first, second):
    def pairs(kinds):
        return {(getattr(kind, first), getattr(kind, second)) for kind in kinds}

    assert pairs(UNSEEN_KINDS) <= pairs(SEEN_KINDS)


def test_everything_is_held_out_in_some_combination():
    assert {kind.colour for kind in UNSEEN_KINDS} == set(COLOURS)
    assert {kind.shape for kind in UNSEEN_KINDS} == set(SHAPES)
    assert {kind.motion for kind in UNSEEN_KINDS} == set(MOTIONS) - {'turning'}


def test_colour_and_shape_leave_four_names_held_out_two_of_them_opposite_to_the_others():
    motions: dict[tuple[str, str], set[str]] = {}
    for kind in UNSEEN_KINDS:
        motions.setdefault((kind.colour, kind.shape), set()).add(kind.motion)
    assert len(motions) == len(COLOURS)
    for held in motions.values():
        assert len(held) == 4
        assert all((a in held) == (b in held) for a, b in BACKWARDS.items())


@pytest.mark.parametrize(
    ('motion', 'track', 'sign'),
    [
        ('moving left', 'x', -1),
        ('moving right', 'x', 1),
        ('moving up', 'y', -1),
        ('moving down', 'y', 1),
        ('growing', 'radius', 1),
        ('shrinking', 'radius', -1),
    ],
)
def test_a_motion_moves_one_coordinate_in_its_direction(motion, track, sign):
    for scene in scenes(motion, 20):
        assert (np.diff(getattr(scene, track)) * sign > 0).all()
        for other in set(TRACKS) - {track}:
            assert np.ptp(getattr(scene, other)) == 0


def test_turning_turns_either_way_on_the_spot():
    turns = [np.diff(scene.angle) for scene in scenes('turning', 40)]
    assert {bool(turn[0] > 0) for turn in turns} == {True, False}
    assert all(np.ptp(np.sign(turn)) == 0 for turn in turns)


@pytest.mark.parametrize('motion', MOTIONS)
def test_a_random_frame_has_the_same_distribution_for_every_motion(motion):
    # The two-sample statistic of Kolmogorov and Smirnov; 1.95 is its bound at
    # a level of 0.001. With the resting coordinates drawn uniformly instead,
    # it is above 4 for most motions.
    number = 4000

    def random_frames(motion, seed):
        rng = np.random.default_rng(seed)
        return np.array(
            [
                [getattr(scene, track)[rng.integers(16)] for track in TRACKS]
                for scene in scenes(motion, number, seed=seed)
            ]
        )

    reference = random_frames('moving left', 1)
    drawn = random_frames(motion, 2)
    reference[:, 3] %= 360
    drawn[:, 3] %= 360
    for a, b in zip(reference.T, drawn.T, strict=True):
        both = np.sort(np.concatenate([a, b]))
        share = [np.searchsorted(np.sort(x), both, side='right') / number for x in (a, b)]
        assert np.abs(share[0] - share[1]).max() * np.sqrt(number / 2) < 1.95


@pytest.mark.parametrize(('forwards', 'backwards'), BACKWARDS.items())
def test_opposite_motions_are_each_other_played_backwards(forwards, backwards):
    # The same random numbers give the same frames in opposite order.
    for one, other in zip(scenes(forwards, 5), scenes(backwards, 5), strict=True):
        for track in TRACKS:
            np.testing.assert_array_equal(getattr(one, track), getattr(other, track)[::-1])


@pytest.mark.parametrize('motion', MOTIONS)
def test_centres_stay_in_the_image(motion):
    for scene in scenes(motion, 200):
        for track in (scene.x, scene.y):
            assert ((track >= 0.2) & (track <= 0.8)).all()
        assert ((scene.radius >= 0.14) & (scene.radius <= 0.3)).all()


@pytest.mark.parametrize(
    ('name', 'classes'), [('motion_seen', SEEN_CLASSES), ('motion_unseen', UNSEEN_CLASSES)]
)
def test_the_lists_that_configs_name_hold_these_classes(name, classes):
    assert load_class_names(name) == classes
