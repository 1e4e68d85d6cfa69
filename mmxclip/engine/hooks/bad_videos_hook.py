"""Videos that cannot be read: reported after each epoch, and never treated in the wrong way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmxclip.datasets.bad_videos import BadVideos
from mmxclip.engine.hooks.class_names_check import leaf_datasets
from mmxclip.errors import ConfigError
from mmxclip.registry import HOOKS


@HOOKS.register_module()
class BadVideosHook(Hook):
    """Say after each epoch of training how many videos were replaced.

    And refuse pipelines that treat bad videos in the wrong way: one that
    replaces them in testing would leave them out of the score, one that counts
    them in training would train on black pictures.
    """

    def before_train(self, runner: Runner) -> None:
        """Check the pipelines of training and validation."""
        check_policy(runner.train_dataloader, 'train', 'count', 'replace')
        if runner.val_loop is not None:
            self.before_val(runner)

    def before_val(self, runner: Runner) -> None:
        """Check the pipeline of validation."""
        check_policy(runner.val_dataloader, 'val', 'replace', 'count')

    def before_test(self, runner: Runner) -> None:
        """Check the pipeline of testing."""
        check_policy(runner.test_dataloader, 'test', 'replace', 'count')

    def after_train_epoch(self, runner: Runner) -> None:
        """Report; nothing when all videos were read."""
        for counter in counters(runner.train_dataloader):
            if counter.failures:
                # other ranks' warnings are not shown
                level = logging.WARNING if get_rank() == 0 else logging.ERROR
                print_log(f'so far, {counter.summary()}', logger='current', level=level)


def counters(loader: Any) -> Iterator[BadVideos]:
    """The counters of a loader's pipelines."""
    for dataset in leaf_datasets(loader.dataset):
        for step in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
            if isinstance(getattr(step, 'bad_videos', None), BadVideos):
                yield step.bad_videos


def check_policy(loader: Any, split: str, wrong: str, right: str) -> None:
    """Refuse a policy.

    Raises:
        ConfigError: when a pipeline of the loader has policy ``wrong``.
    """
    for counter in counters(loader):
        if counter.policy == wrong:
            raise ConfigError(
                f'RobustDecordInit of the {split} pipeline has on_error={wrong!r}; set {right!r}, '
                "or 'raise' to stop at the first bad video"
            )
