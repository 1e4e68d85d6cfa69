"""Curves: read from logs as MMEngine writes them, chosen and drawn."""

import json

import pytest
from mmengine.visualization import LocalVisBackend

from mmxclip.errors import ConfigError, DataError
from mmxclip.visualization.curves import choose_keys, draw_curves, find_scalars, read_curves


@pytest.fixture
def work_dir(tmp_path):
    """A work dir with an older and a newer run, written by MMEngine."""
    for name, scale in (('20260101_000000', 1), ('20260102_000000', 2)):
        backend = LocalVisBackend(str(tmp_path / name / 'vis_data'))
        for step in range(1, 5):
            backend.add_scalars({'loss': scale / step, 'data_time': 0.1, 'iter': step}, step=step)
        backend.add_scalars({'acc/top1': 0.5 * scale}, step=1)
    return tmp_path


def test_last_run_of_a_work_dir_counts(work_dir):
    curves = read_curves(find_scalars(work_dir))
    assert curves == {
        'loss': ([1, 2, 3, 4], pytest.approx([2, 1, 2 / 3, 0.5])),
        'data_time': ([1, 2, 3, 4], [0.1] * 4),
        'acc/top1': ([1], [1.0]),
    }


@pytest.mark.parametrize(
    ('patterns', 'expected'),
    [
        ([], ['loss', 'acc/top1']),
        (['acc/*', 'loss'], ['acc/top1', 'loss']),
        (['loss', 'l*'], ['loss']),
    ],
)
def test_keys(work_dir, patterns, expected):
    assert choose_keys(patterns, {'run': read_curves(find_scalars(work_dir))}) == expected


def test_unknown_key_lists_those_that_are_there():
    with pytest.raises(ConfigError, match="no run has logged 'lr'; logged are loss"):
        choose_keys(['lr'], {'run': {'loss': ([1.0], [1.0])}})


def test_lines_are_the_curves_and_keep_the_colour_of_their_run():
    runs = {
        'a $x': {'loss': ([1.0, 2.0], [3.0, 4.0])},
        'b': {'loss': ([1.0], [5.0]), 'acc': ([1.0], [6.0])},
    }
    figure = draw_curves(runs, ['loss', 'acc'])
    loss, acc = figure.axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[3, 4], [5]]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == [r'a \$x', 'b']
    assert acc.lines[0].get_color() == loss.lines[1].get_color()


def test_resumed_and_unfinished_log(tmp_path):
    file = tmp_path / 'scalars.json'
    rows = [{'loss': value, 'step': step} for step, value in ((1, 9), (2, 8), (2, 7), (3, 6))]
    file.write_text('\n'.join(map(json.dumps, rows)) + '\n{"loss": 5, "st')
    assert read_curves(file)['loss'] == ([1, 2, 3], [9, 7, 6])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"loss": 1}\n', r'line 1 is no JSON object with a step'),
        ('hello\n{"loss": 1, "step": 1}\n', r'line 1 is no JSON object'),
        ('', 'hold no numbers yet'),
        ('{"step": 3, "note": "x"}\n', 'hold no numbers yet'),
        (b'\xff\xfe', 'it is not UTF-8 text'),
        (None, 'No such file or directory'),
    ],
)
def test_other_files(tmp_path, content, message):
    file = tmp_path / 'scalars.json'
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        read_curves(file)


def test_folder_without_a_run(tmp_path):
    with pytest.raises(DataError, match=r'holds no vis_data/scalars\.json'):
        find_scalars(tmp_path)
