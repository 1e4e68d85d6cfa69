"""Places are skipped once, and everything else is the other sampler's."""

import copy

import pytest
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, DataLoader

from mmxclip.datasets.resumable_sampler import ResumableSampler


def build(**kwargs):
    cfg = dict(type='mmxclip.ResumableSampler', sampler=dict(type='DefaultSampler', **kwargs))
    return DATA_SAMPLERS.build(cfg, default_args=dict(dataset=range(10), seed=4))


@pytest.mark.parametrize('shuffle', [True, False])
@pytest.mark.parametrize('epoch', [0, 1])
def test_order(shuffle, epoch):
    sampler = build(shuffle=shuffle)
    reference = DefaultSampler(range(10), shuffle=shuffle, seed=4)
    sampler.set_epoch(epoch)
    reference.set_epoch(epoch)
    assert list(sampler) == list(reference)
    sampler.skip(7)
    assert len(sampler) == 10
    assert list(sampler) == list(reference)[7:]
    assert list(sampler) == list(reference)  # once


def test_all_can_be_skipped():
    sampler = build(shuffle=True)
    sampler.skip(10)
    assert list(sampler) == []


def test_seed():
    sampler = build(shuffle=True)
    assert sampler.seed == 4
    sampler.set_seed(8)
    assert list(sampler) == list(DefaultSampler(range(10), seed=8))
    assert sampler.seed == 8


@pytest.mark.parametrize('drop_last', [True, False])
@pytest.mark.parametrize('workers', [0, 2])
def test_in_a_loader(drop_last, workers):
    sampler = ResumableSampler(DefaultSampler(range(10), seed=1))
    loader = DataLoader(
        range(10),
        batch_size=3,
        sampler=sampler,
        drop_last=drop_last,
        collate_fn=list,
        num_workers=workers,
    )
    assert type(loader.batch_sampler) is BatchSampler  # what the loop relies on
    batches = list(loader)
    sampler.skip(6)
    assert list(loader) == batches[2:]


def test_copy():
    sampler = build(shuffle=True)
    assert list(copy.deepcopy(sampler)) == list(sampler)
    with pytest.raises(AttributeError, match='nothing'):
        sampler.nothing  # noqa: B018
