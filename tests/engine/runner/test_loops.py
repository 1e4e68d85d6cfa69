"""The loop around its resuming, which ``tests/test_resume.py`` holds."""

import pytest
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, DataLoader
from toy_training import ToyRandomDataset, toy_config, train

from mmxclip.datasets import ResumableSampler, SeededDataset
from mmxclip.engine.hooks import TrainingStateHook


@DATA_SAMPLERS.register_module(force=True)
class PairedBatchSampler(BatchSampler):
    """Batches whose size varies, so that places in the sampler cannot be reckoned."""

    def __init__(self, sampler, batch_size):
        super().__init__(sampler, batch_size, drop_last=False)

    def __iter__(self):
        yield from [[0], [1, 2], [3, 4, 5], [6], [7]]

    def __len__(self):
        return 5


def test_stands_for_the_stock_loop(tmp_path):
    """Without random samples the same weights come out."""
    calm = dict(
        train_dataloader__dataset__noise=0, val_cfg=None, val_dataloader=None, val_evaluator=None
    )
    ours = train(toy_config(tmp_path / 'ours', **calm, model__dropout=0.0))
    stock = dict(train_cfg=dict(_delete_=True, by_epoch=True, max_epochs=3))
    stock = train(toy_config(tmp_path / 'stock', **calm, **stock, model__dropout=0.0))
    assert ours.rows == stock.rows


def test_wraps_what_it_builds(tmp_path):
    runner = train(toy_config(tmp_path, train_cfg__max_epochs=1))
    loader = runner.train_dataloader
    assert isinstance(loader.dataset, SeededDataset)
    assert isinstance(loader.sampler, ResumableSampler)
    assert isinstance(loader.sampler.sampler, DefaultSampler)
    assert sum(isinstance(hook, TrainingStateHook) for hook in runner.hooks) == 1


def test_leaves_samples_alone_when_told(tmp_path):
    runner = train(toy_config(tmp_path, train_cfg__max_epochs=1, train_cfg__seed_samples=False))
    assert isinstance(runner.train_dataloader.dataset, ToyRandomDataset)


def test_hook_is_not_doubled(tmp_path):
    hooks = [dict(type='RecordHook'), dict(type='mmxclip.TrainingStateHook')]
    runner = train(toy_config(tmp_path, train_cfg__max_epochs=1, custom_hooks=hooks))
    assert sum(isinstance(hook, TrainingStateHook) for hook in runner.hooks) == 1


def test_epochs_differ_and_repeat(tmp_path):
    rows = train(toy_config(tmp_path / 'one')).rows
    losses = [row[2] for row in rows.values()]
    assert len(set(losses)) == len(losses) == 15
    assert train(toy_config(tmp_path / 'two')).rows == rows
    assert train(toy_config(tmp_path / 'three', randomness=dict(seed=4))).rows != rows


@pytest.mark.parametrize('built', [True, False])
def test_batches_of_other_kinds_are_skipped_by_loading(tmp_path, built):
    """A batch sampler of one's own, and a loader that was built already."""
    changes = dict(default_hooks__checkpoint__by_epoch=False, default_hooks__checkpoint__interval=3)

    def config(folder, **more):
        cfg = toy_config(folder, **changes, **more)
        if not built:
            cfg.train_dataloader.batch_sampler = dict(type='PairedBatchSampler')
        return cfg

    def loader():
        dataset = SeededDataset(ToyRandomDataset(), seed=3)
        return DataLoader(dataset, batch_size=4, collate_fn=_as_dict, sampler=_sampler(dataset))

    full = train(config(tmp_path / 'full'), loader() if built else None)
    path = str(tmp_path / 'full' / 'iter_9.pth')
    cut = config(tmp_path / 'cut', resume=True, load_from=path)
    cut = train(cut, loader() if built else None)
    assert cut.rows == {key: row for key, row in full.rows.items() if key >= 9}


def _sampler(dataset):
    return DefaultSampler(dataset, seed=3)


def _as_dict(samples):
    return {key: [sample[key] for sample in samples] for key in samples[0]}
