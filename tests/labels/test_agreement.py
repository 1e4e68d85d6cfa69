"""Classes that paths name, against labels."""

from __future__ import annotations

import pytest

from mmxclip.labels.agreement import Disagreement, PathReader, disagreements, fitting_order
from mmxclip.labels.class_names import load_class_names

HMDB = load_class_names('hmdb51', 'mmaction2')


@pytest.mark.parametrize(
    ('source', 'path', 'name'),
    [
        ('kinetics400', 'abseiling/x.mp4', 'abseiling'),
        ('kinetics400', 'train/air_drumming/x.mp4', 'air drumming'),
        ('kinetics400', 'abseiling/train/x.mp4', None),
        ('kinetics400', 'abseiling.mp4', None),
        ('kinetics400', '-3B32lodo2M_000059_000069.mp4', None),
        (
            'kinetics600',
            'passing_American_football_(not_in_game)/x.mp4',
            'passing american football (not in game)',
        ),
        ('ucf101', 'ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi', 'ApplyEyeMakeup'),
        ('ucf101', 'v_HandStandPushups_g01_c01.avi', 'HandstandPushups'),
        ('ucf101', 'apply eye makeup/1.avi', 'ApplyEyeMakeup'),
        ('ucf101', 'v_Sleeping_g01_c01.avi', None),
        ('hmdb51_xclip', 'kick_ball/x.avi', 'kick ball'),
        ('hmdb51_xclip', '50_FIRST_DATES_kick_f_cm_np1_ba_med_19.avi', 'kick'),
        ('hmdb51_xclip', 'A_Scene_kick_ball_f_cm_np1_ba_med_19.avi', 'kick ball'),
        ('hmdb51_xclip', 'Zorro_draw_sword_u_nm_np1_fr_goo_2.avi', 'draw sword'),
        ('hmdb51_xclip', 'Zorro_sword_exercise.avi', None),
        ('hmdb51_xclip', 'batch_7/Zorro_sword_u_nm_np1_fr_goo_2.avi', 'sword'),
        ('ssv2', '78687.webm', None),
    ],
)
def test_what_paths_name(source, path, name):
    names = load_class_names(source)
    assert [names[label] for label in PathReader(names).labels(path)] == ([name] if name else [])


def test_every_folder_of_a_list_names_its_class():
    for source in ('kinetics600', 'ucf101', 'hmdb51_mmaction2'):
        names = load_class_names(source)
        rows = [(i + 1, f'{name.replace(" ", "_")}/x.mp4', i) for i, name in enumerate(names)]
        assert disagreements(rows, names) == []
        shifted = [(number, path, (label + 1) % len(names)) for number, path, label in rows]
        assert len(disagreements(shifted, names)) == len(names)


def test_disagreements():
    rows = [(1, 'kick/a.avi', 20), (3, 'kick_ball/b.avi', 20), (4, 'shelf/c.avi', 20)]
    assert disagreements(rows, HMDB) == [Disagreement(3, 'kick_ball/b.avi', 20, 21)]


def test_names_with_one_text_are_not_told_apart():
    assert disagreements([(1, 'jump/a.avi', 0), (2, 'jump/a.avi', 1)], ['jump', 'jump!']) == []
    assert disagreements([(1, '__/a.avi', 1)], ['?', 'run']) == []


@pytest.mark.parametrize(
    ('rows', 'order'),
    [
        ([(1, 'kick_ball/b.avi', 20), (2, 'sword/b.avi', 45), (3, 'wave/b.avi', 50)], 'xclip'),
        ([(1, 'kick_ball/b.avi', 20), (2, 'sword/b.avi', 44)], None),
    ],
)
def test_fitting_order(rows, order):
    assert fitting_order(rows, HMDB) == order


def test_own_names_have_no_other_order():
    assert fitting_order([(1, 'run/b.avi', 1)], ['run', 'jump']) is None
