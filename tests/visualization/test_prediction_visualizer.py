"""Predictions drawn: what is in the picture, and where the hook puts it."""

from importlib.util import find_spec
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
import torch
from mmaction.registry import HOOKS, VISUALIZERS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmxclip.errors import ConfigError
from mmxclip.visualization import PredictionVisualizationHook, PredictionVisualizer, prediction_hook
from mmxclip.visualization.prediction_hook import first_view
from mmxclip.visualization.prediction_visualizer import RIGHT, WRONG, contact_sheet

NAMES = ('jump $x', 'run', 'swim')


def sample(truth=0, scores=(0.7, 0.2, 0.1), filename='/videos/a film.mp4'):
    made = ActionDataSample().set_gt_label(truth).set_pred_score(torch.tensor(scores))
    made.set_metainfo({'filename': filename})
    return made


@pytest.fixture
def visualizer(tmp_path):
    config = dict(
        type='PredictionVisualizer',
        name=str(tmp_path),  # MMEngine keeps one instance a name
        vis_backends=[dict(type='LocalVisBackend')],
        save_dir=str(tmp_path),
        top_k=2,
    )
    made = VISUALIZERS.build(config)
    made.dataset_meta = {'classes': NAMES}
    return made


def texts(figure):
    import matplotlib.text

    found = figure.findobj(matplotlib.text.Text)
    return '\n'.join(text.get_text() for text in found if text.get_visible())


@pytest.mark.parametrize(('truth', 'colour'), [(0, RIGHT), (1, WRONG)])
def test_names_scores_and_file_are_in_the_picture(visualizer, truth, colour):
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    figure = visualizer._figure('name', frames, sample(truth), True, True)
    top, low = figure.axes
    title = top.get_title(loc='left')
    assert title == f'a film.mp4\ntrue: {NAMES[truth]}'.replace('$', r'\$')
    assert top.title.get_color() == 'black'
    assert top._left_title.get_color() == colour
    assert [bar.get_width() for bar in low.patches] == pytest.approx([0.7, 0.2])
    assert [label.get_text() for label in low.get_yticklabels()] == [r'jump \$x', 'run']
    assert '0.700' in texts(figure)


def test_without_labels_or_scores(visualizer):
    frames = np.zeros((1, 16, 16, 3), np.uint8)
    figure = visualizer._figure('name', frames, ActionDataSample(), True, True)
    assert figure.axes[0].get_title(loc='left') == 'name'
    assert 'true' not in texts(figure)


def test_names_are_numbers_without_names(visualizer):
    visualizer.dataset_meta = None
    assert visualizer._name(2) == 'class 2'


def test_picture_is_written_by_the_backend(visualizer, tmp_path):
    frames = np.full((3, 16, 16, 3), (255, 0, 0), np.uint8)
    picture = visualizer.add_datasample('x', frames, sample(), step=3)
    written = matplotlib.image.imread(tmp_path / 'vis_data' / 'vis_image' / 'x_3.png')
    assert np.array_equal(np.round(written[..., :3] * 255), picture)
    assert (picture == (255, 0, 0)).all(-1).mean() > 0.2  # RGB, not BGR


def test_file_in_the_place_of_backends(visualizer, tmp_path):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    visualizer.add_datasample('x', frames, sample(), out_path=str(tmp_path / 'x.png'))
    assert (tmp_path / 'x.png').read_bytes().startswith(b'\x89PNG')
    assert not list(tmp_path.rglob('x_0.png'))


@pytest.mark.parametrize(
    ('count', 'shown'), [(1, [0]), (3, [0, 1, 2]), (40, [2, 7, 12, 17, 22, 27, 32, 37])]
)
def test_contact_sheet_in_order(count, shown):
    frames = np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2)
    sheet = contact_sheet(frames.repeat(3, 3), 8, gap=1)
    assert sheet[1, 1::5, 0].tolist()[: len(shown)] == shown
    assert sheet.shape[0] == 4


def test_first_view():
    pixels = torch.arange(2 * 3 * 4 * 2 * 2).reshape(2, 3, 4, 2, 2)
    frames = first_view(pixels)
    assert frames.shape == (4, 2, 2, 3)
    assert frames[1, 0, 1].tolist() == pixels[0, :, 1, 0, 1].tolist()
    assert np.array_equal(first_view(pixels[0].transpose(0, 1)), frames)


def runner(visualizer):
    return SimpleNamespace(visualizer=visualizer, _train_loop=None, epoch=2, iter=9)


def validate(hook, visualizer, batches=3):
    hook.before_val_epoch(None)
    for index in range(batches):
        inputs = [torch.zeros(1, 3, 2, 16, 16, dtype=torch.uint8)] * 2
        samples = [sample(filename=f'd/{2 * index}: é.mp4'), sample(filename='b.mp4')]
        hook.after_val_iter(runner(visualizer), index, {'inputs': inputs}, samples)


@pytest.mark.parametrize(
    ('interval', 'most', 'expected'),
    [
        (2, 2, ['val_00000_0__é_2.png', 'val_00002_2__é_2.png']),
        (3, 9, ['val_00000_0__é_2.png', 'val_00003_b_2.png']),
    ],
)
def test_hook_draws_some_of_every_validation(visualizer, tmp_path, interval, most, expected):
    hook = HOOKS.build(dict(type='PredictionVisualizationHook', interval=interval, max_videos=most))
    for _ in range(2):
        validate(hook, visualizer)
        files = sorted((tmp_path / 'vis_data' / 'vis_image').iterdir())
        assert [file.name for file in files] == expected
        for file in files:
            file.unlink()


def test_other_processes_draw_nothing(visualizer, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_hook, 'is_main_process', lambda: False)
    validate(PredictionVisualizationHook(interval=1), visualizer)
    assert not list(tmp_path.rglob('*.png'))


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: PredictionVisualizationHook(interval=0), 'interval=0 and max_videos=8 must be'),
        (lambda: PredictionVisualizer(top_k=0), 'top_k=0 and max_frames=16 must be at least 1'),
    ],
)
def test_wrong_numbers(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_other_visualizer_is_refused():
    with pytest.raises(ConfigError, match='the visualizer is a SimpleNamespace, which draws no'):
        PredictionVisualizationHook().before_run(runner(SimpleNamespace()))


BACKENDS = ['LocalVisBackend'] + ['TensorboardVisBackend'] * bool(find_spec('tensorboard'))


@pytest.mark.parametrize('backend', BACKENDS)
def test_run_with_backend(tmp_path, monkeypatch, backend):
    """A training with validation, as a config sets it up."""
    from pathlib import Path

    tiny = Path(__file__).parents[1] / 'tools' / 'tiny_run'
    monkeypatch.syspath_prepend(str(tiny))
    cfg = Config.fromfile(tiny / 'tiny_xclip.py')
    cfg.work_dir = str(tmp_path)
    cfg.visualizer = dict(type='PredictionVisualizer', vis_backends=[dict(type=backend)])
    cfg.custom_hooks = [dict(type='PredictionVisualizationHook', interval=4)]
    cfg.experiment_name = f'drawn_{backend}'
    with DefaultScope.overwrite_default_scope('mmaction'):
        Runner.from_cfg(cfg).train()
    if backend == 'LocalVisBackend':
        names = sorted(file.name for file in tmp_path.rglob('vis_image/*.png'))
        assert names == ['val_00000_1.png', 'val_00004_1.png']
    else:
        assert list(tmp_path.rglob('events.out.tfevents*'))
