"""What a sample looks like depends on seed, epoch and index alone."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import RepeatDataset
from mmengine.dataset.base_dataset import BaseDataset
from mmengine.registry import DATASETS

from mmxclip.datasets.seeded import SeededDataset, seeded


class Draws(BaseDataset):
    """Samples are draws of all three generators."""

    METAINFO = {'classes': ('a',)}

    def load_data_list(self):
        return [dict(number=number) for number in range(6)]

    def prepare_data(self, idx):
        draws = random.random(), float(np.random.rand()), float(torch.rand(()))
        return None if draws[1] < 0.3 else (idx, *draws)  # None: MMEngine takes another at random


def state():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.fixture
def dataset():
    return SeededDataset(Draws(), seed=5)


def test_repeatable(dataset):
    first = [dataset[index] for index in range(6)]
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)
    assert [dataset[index] for index in reversed(range(6))] == first[::-1]
    assert any(sample[0] != index for index, sample in enumerate(first))  # some were replaced


def test_every_sample_epoch_and_seed_differs(dataset):
    draws = {number for index in range(6) for number in dataset[index][1:]}
    dataset.set_epoch(1)
    draws |= {number for index in range(6) for number in dataset[index][1:]}
    dataset.set_epoch(0)
    dataset.set_seed(6)
    draws |= {number for index in range(6) for number in dataset[index][1:]}
    assert len(draws) == 3 * 6 * 3


def test_random_state_is_left_alone(dataset):
    before = state()
    dataset[0]
    assert state() == before


def test_random_state_is_restored_after_an_error():
    before = state()
    with pytest.raises(KeyError), seeded((1, 2)):
        random.random()
        raise KeyError
    assert state() == before


@pytest.mark.parametrize('workers', [0, 1, 3])
def test_workers_do_not_matter_and_see_the_epoch(dataset, workers):
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=2,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=list,
    )
    for epoch in range(2):
        dataset.set_epoch(epoch)
        loaded = [sample for batch in loader for sample in batch]
        assert loaded == [dataset[index] for index in range(6)]


def test_repeated_samples_differ():
    dataset = SeededDataset(RepeatDataset(Draws(), times=2), seed=5)
    assert len(dataset) == 12
    assert dataset[0][1:] != dataset[6][1:]


def test_built_from_a_config_and_transparent():
    DATASETS.register_module(name='SeededDraws', module=Draws, force=True)
    dataset = DATASETS.build(
        dict(type='mmxclip.SeededDataset', dataset=dict(type='SeededDraws'), seed=1)
    )
    assert dataset.metainfo == {'classes': ('a',)}
    assert dataset.get_data_info(2)['number'] == 2
    with pytest.raises(AttributeError, match='nothing'):
        dataset.nothing  # noqa: B018


def test_special_methods_do_not_reach_past_the_seeding(dataset):
    Draws.__getitems__ = lambda self, indices: None
    try:
        assert not hasattr(dataset, '__getitems__')
    finally:
        del Draws.__getitems__


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(dataset, copied):
    assert copied(dataset)[3] == dataset[3]
