"""Accuracy over all videos, those that could not be read included."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmaction.evaluation import AccMetric
from mmengine.logging import print_log

from mmxclip.errors import ConfigError
from mmxclip.registry import METRICS

MAX_LISTED = 20


@METRICS.register_module()
class VideoAccMetric(AccMetric):
    """``AccMetric`` that counts unreadable videos as wrong, and says which they are.

    The number of videos that accuracy is divided by stays the dataset's, so
    that results of two machines with different damage remain comparable. Logs
    ``acc/unreadable``, a number of videos, and names them.

    Needs ``meta_keys=('filename', 'unreadable', 'true_label')`` in
    ``PackActionInputs``.
    """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store scores, labels and what could not be read.

        Raises:
            ConfigError: for a video without a label, or whose reason for having
                none was not passed on.
        """
        super().process(data_batch, data_samples)
        for result, sample in zip(self.results[-len(data_samples) :], data_samples, strict=True):
            result['unreadable'] = sample.get('unreadable')
            if result['unreadable']:
                result['true_label'] = int(sample['true_label'])
            elif np.ndim(result['label']) == 0 and result['label'] < 0:
                raise ConfigError(
                    f'{sample.get("filename", "a video")} has label {result["label"]} and cannot '
                    'be scored; give it a label in the annotation file or, if it could not be '
                    "read, set meta_keys=('filename', 'unreadable', 'true_label') of "
                    'PackActionInputs'
                )

    def compute_metrics(self, results: list[dict]) -> dict:
        """Accuracies, each in 0 to 1, and the count of unreadable videos."""
        bad = [result for result in results if result['unreadable']]
        if bad:
            named = '; '.join(result['unreadable'] for result in bad[:MAX_LISTED])
            more = f'; and {len(bad) - MAX_LISTED} more' if len(bad) > MAX_LISTED else ''
            print_log(
                f'{len(bad)} of {len(results)} videos could not be read and count as wrong: '
                f'{named}{more}',
                logger='current',
                level=logging.WARNING,
            )
        metrics = super().compute_metrics(results)
        if bad and 'mean1' in metrics:
            # per class, a placeholder belongs to the class that it should have had
            metrics['mean1'] = super().compute_metrics([_as_wrong(item) for item in results])[
                'mean1'
            ]
        metrics['unreadable'] = len(bad)
        return metrics


def _as_wrong(result: dict) -> dict:
    """An unreadable video with its true label and another class predicted."""
    if not result['unreadable']:
        return result
    scores = np.zeros_like(result['pred'])
    scores[(result['true_label'] + 1) % len(scores)] = 1
    return dict(result, pred=scores, label=result['true_label'])
