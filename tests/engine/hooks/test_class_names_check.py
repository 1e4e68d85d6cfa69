"""Names of data and model: the same, in one order, or an error."""

from __future__ import annotations

from types import SimpleNamespace as Namespace

import pytest
from mmaction.datasets import VideoDataset

from mmxclip.engine.hooks.class_names_check import ClassNamesCheckHook, leaf_datasets
from mmxclip.errors import ConfigError


def run(head, dataset, step='before_train'):
    """One step of the hook with a runner reduced to what it reads."""
    model = Namespace() if head is None else Namespace(cls_head=Namespace(**head))
    loader = Namespace(dataset=dataset)
    runner = Namespace(
        model=model,
        val_loop=None,
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
    )
    getattr(ClassNamesCheckHook(), step)(runner)


def data(*names, **attributes):
    return Namespace(metainfo={'classes': names} if names else {}, **attributes)


HEAD = dict(classes=('kick', 'kick ball'), num_classes=2)


@pytest.mark.parametrize(
    ('head', 'dataset'),
    [
        (HEAD, data('kick', 'kick ball')),
        (HEAD, Namespace(dataset=data('kick', 'kick ball'))),
        (HEAD, data()),
        (HEAD, data(num_classes=2)),
        (dict(num_classes=2), data('kick', 'kick ball')),
        (None, data('run')),
    ],
)
def test_agreement(head, dataset):
    run(head, dataset)


@pytest.mark.parametrize('step', ['before_train', 'before_val', 'before_test'])
@pytest.mark.parametrize(
    ('head', 'dataset', 'message'),
    [
        (
            HEAD,
            data('kick ball', 'kick'),
            r"class 0 is 'kick ball' in the \w+ data .* another order",
        ),
        (HEAD, data('kick', 'sword'), r"class 1 is 'sword' .* 'kick ball' .* the names differ"),
        (HEAD, data('kick'), r'the \w+ data has 1 classes and the head 2'),
        (HEAD, data(num_classes=51), r'data has 51 classes and the head 2'),
        (dict(num_classes=3), data('kick', 'kick ball'), 'has 2 classes and the head 3'),
    ],
)
def test_disagreement(head, dataset, message, step):
    with pytest.raises(ConfigError, match=message):
        run(head, dataset, step)


def test_leaves_of_wrappers():
    first, second = data('a'), data('b')
    nested = Namespace(datasets=[Namespace(dataset=first), second])
    assert list(leaf_datasets(nested)) == [first, second]


def videos(tmp_path, labels, **kwargs):
    """MMAction2's own dataset, which knows no names."""
    (tmp_path / 'list.txt').write_text(''.join(f'{i}.mp4 {k}\n' for i, k in enumerate(labels)))
    return VideoDataset(str(tmp_path / 'list.txt'), [], **kwargs)


def test_labels_of_a_dataset_without_names(tmp_path):
    run(HEAD, videos(tmp_path, [0, 1, 1]))
    with pytest.raises(ConfigError, match=r'2\.mp4 of the train data has label 2, and the head 2'):
        run(HEAD, videos(tmp_path, [0, 1, 2]))


def test_validation_is_checked_before_training():
    loader, other = Namespace(dataset=data('kick', 'kick ball')), Namespace(dataset=data('run'))
    runner = Namespace(
        model=Namespace(cls_head=Namespace(**HEAD)),
        val_loop=object(),
        train_dataloader=loader,
        val_dataloader=other,
    )
    with pytest.raises(ConfigError, match='the val data has 1 classes'):
        ClassNamesCheckHook().before_train(runner)
