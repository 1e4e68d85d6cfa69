"""Accuracy that counts unreadable videos."""

from __future__ import annotations

import pytest
import torch
from mmaction.evaluation import AccMetric
from mmaction.structures import ActionDataSample

from mmxclip.errors import ConfigError
from mmxclip.evaluation import VideoAccMetric

OPTIONS = dict(top_k_accuracy=dict(topk=(1, 2)))


def sample(scores, label, **meta) -> dict:
    data = ActionDataSample(metainfo=meta)
    data.set_pred_score(torch.tensor(scores))
    data.set_gt_label(label)
    return data.to_dict()


READABLE = [
    sample([0.7, 0.2, 0.1], 0),
    sample([0.2, 0.7, 0.1], 1),
    sample([0.5, 0.2, 0.3], 2),
]
UNREADABLE = [
    sample([0.9, 0.05, 0.05], -1, unreadable='a.mp4 breaks', true_label=0),
    sample([0.1, 0.1, 0.8], -1, unreadable='b.mp4 cannot be opened', true_label=2),
]


def evaluate(metric, samples) -> dict:
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_equal_to_the_stock_metric_on_readable_videos():
    ours = evaluate(VideoAccMetric(metric_options=OPTIONS), READABLE)
    assert ours.pop('acc/unreadable') == 0
    assert ours == evaluate(AccMetric(metric_options=OPTIONS), READABLE)


def test_unreadable_videos_count_as_wrong():
    metrics = evaluate(VideoAccMetric(metric_options=OPTIONS), READABLE + UNREADABLE)
    assert metrics['acc/unreadable'] == 2
    assert metrics['acc/top1'] == pytest.approx(2 / 5)
    assert metrics['acc/top2'] == pytest.approx(3 / 5)
    # classes 0: 1 of 2, 1: 1 of 1, 2: 0 of 2
    assert metrics['acc/mean1'] == pytest.approx((1 / 2 + 1 + 0) / 3)


def test_a_stock_metric_cannot_score_a_placeholder():
    metrics = evaluate(AccMetric(metric_options=OPTIONS), UNREADABLE)
    assert metrics['acc/top2'] == 0


@pytest.mark.parametrize('meta', [{}, {'filename': 'a.mp4', 'true_label': 1}])
def test_a_placeholder_whose_reason_was_dropped(meta):
    with pytest.raises(ConfigError, match=r'(a\.mp4|a video) has label -1 .* set meta_keys='):
        VideoAccMetric().process(None, [sample([0.5, 0.5], -1, **meta)])


def test_names_are_listed(monkeypatch):
    logged = []
    monkeypatch.setattr(
        'mmxclip.evaluation.metrics.video_acc_metric.print_log',
        lambda message, **_: logged.append(message),
    )
    evaluate(VideoAccMetric(metric_options=OPTIONS), READABLE + UNREADABLE)
    assert logged == [
        '2 of 5 videos could not be read and count as wrong: a.mp4 breaks; b.mp4 cannot be opened'
    ]
