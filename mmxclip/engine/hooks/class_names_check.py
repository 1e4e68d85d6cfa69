"""Class names of the data and of the model, compared before either is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmxclip.errors import ConfigError
from mmxclip.registry import HOOKS


@HOOKS.register_module()
class ClassNamesCheckHook(Hook):
    """Refuse to train or score with names in another order than the labels.

    Lists of one dataset circulate in different orders; a model scored against
    the wrong one only looks worse. Datasets without names are compared by their
    number of classes or, where they do not state it, by their labels; heads
    without names likewise.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Check the training set, and the validation set before an epoch is spent."""
        self._check(runner, runner.train_dataloader, 'train')
        if runner.val_loop is not None:
            self.before_val(runner)

    def before_val(self, runner: Runner) -> None:
        """Check the validation set."""
        self._check(runner, runner.val_dataloader, 'val')

    def before_test(self, runner: Runner) -> None:
        """Check the test set."""
        self._check(runner, runner.test_dataloader, 'test')

    def _check(self, runner: Runner, loader: Any, split: str) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        head = getattr(model, 'cls_head', None)
        if head is None:
            return
        for dataset in leaf_datasets(loader.dataset):
            names = (getattr(dataset, 'metainfo', None) or {}).get('classes')
            count = getattr(dataset, 'num_classes', None)
            head_count = getattr(head, 'num_classes', None)
            check_classes(getattr(head, 'classes', None), head_count, names, count, split)
            if names is None and count is None and head_count is not None:
                check_labels(dataset, head_count, split)


def leaf_datasets(dataset: Any) -> Iterator[Any]:
    """The datasets within wrappers such as ``RepeatDataset`` and ``ConcatDataset``."""
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from leaf_datasets(part)
    elif hasattr(dataset, 'dataset'):
        yield from leaf_datasets(dataset.dataset)
    else:
        yield dataset


def check_classes(
    model_names: Any, model_count: int | None, data_names: Any, data_count: int | None, split: str
) -> None:
    """Compare names, or numbers of classes where one side has no names.

    Raises:
        ConfigError: when they differ; the first difference is named.
    """
    if model_names is not None and data_names is not None:
        model_names, data_names = tuple(model_names), tuple(data_names)
        if model_names == data_names:
            return
        if len(model_names) == len(data_names):
            pairs = zip(data_names, model_names, strict=True)
            index = next(i for i, (data, model) in enumerate(pairs) if data != model)
            same = 'the names are the same in another order' * (
                sorted(model_names) == sorted(data_names)
            )
            raise ConfigError(
                f'class {index} is {data_names[index]!r} in the {split} data and '
                f'{model_names[index]!r} in cls_head.classes; {same or "the names differ"}: '
                "give both the list that the annotation's labels count in"
            )
        model_count, data_count = len(model_names), len(data_names)
    elif data_names is not None:
        data_count = len(data_names)
    if None not in (model_count, data_count) and model_count != data_count:
        raise ConfigError(
            f'the {split} data has {data_count} classes and the head {model_count}; set '
            'cls_head.classes (or num_classes) to those of the data'
        )


def check_labels(dataset: Any, num_classes: int, split: str) -> None:
    """Hold the labels of a dataset that knows neither names nor number against the head's.

    Raises:
        ConfigError: for a label beyond the head's classes.
    """
    if not isinstance(dataset, BaseDataset):
        return
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        label = info.get('label')
        if isinstance(label, int) and label >= num_classes:
            raise ConfigError(
                f'{info.get("filename", f"sample {index}")} of the {split} data has label {label}, '
                f'and the head {num_classes} classes; labels count from 0: set cls_head.classes '
                '(or num_classes) to those of the data'
            )
