"""What is said about bad videos after an epoch, and which pipelines are refused."""

from __future__ import annotations

from types import SimpleNamespace as Namespace

import pytest

from mmxclip.datasets.bad_videos import BadVideos
from mmxclip.engine.hooks.bad_videos_hook import BadVideosHook
from mmxclip.errors import ConfigError, DataError


def runner(train='replace', val='count'):
    """A runner reduced to what the hook reads; the training set is wrapped."""

    def loader(policy):
        steps = [Namespace(), Namespace(bad_videos=BadVideos(policy))]
        return Namespace(dataset=Namespace(pipeline=Namespace(transforms=steps)))

    wrapped = Namespace(dataset=Namespace(dataset=loader(train).dataset))
    return Namespace(
        train_dataloader=wrapped,
        val_loop=None if val is None else object(),
        val_dataloader=loader(val or 'raise'),
        test_dataloader=loader(val or 'raise'),
    )


@pytest.mark.parametrize('train', ['replace', 'raise'])
@pytest.mark.parametrize('val', ['count', 'raise', None])
def test_right_policies(train, val):
    for step in ('before_train', 'before_val', 'before_test'):
        getattr(BadVideosHook(), step)(runner(train, val))


@pytest.mark.parametrize(
    ('step', 'train', 'val', 'message'),
    [
        ('before_train', 'count', 'count', "the train pipeline has on_error='count'; set 'repl"),
        ('before_train', 'replace', 'replace', "the val pipeline has on_error='replace'; set 'c"),
        ('before_val', 'replace', 'replace', "the val pipeline has on_error='replace'; set 'c"),
        ('before_test', 'replace', 'replace', "the test pipeline has on_error='replace'; set 'c"),
    ],
)
def test_wrong_policies(step, train, val, message):
    with pytest.raises(ConfigError, match=message):
        getattr(BadVideosHook(), step)(runner(train, val))


def test_report(monkeypatch):
    logged = []
    for module in ('datasets.bad_videos', 'engine.hooks.bad_videos_hook'):
        monkeypatch.setattr(f'mmxclip.{module}.print_log', lambda text, **_: logged.append(text))
    run = runner()
    (counter,) = [
        step.bad_videos
        for step in run.train_dataloader.dataset.dataset.pipeline.transforms
        if hasattr(step, 'bad_videos')
    ]
    counter.opened()
    BadVideosHook().after_train_epoch(run)
    assert logged == []
    for _ in range(2):
        counter.opened()
        counter.failed(DataError('a.mp4 cannot be opened'), 'a.mp4')
    BadVideosHook().after_train_epoch(run)
    assert logged == [
        'bad video: a.mp4 cannot be opened',
        'so far, 1 bad videos, met 2 times in 3 attempts, were replaced',
    ]
