"""What a run leaves behind in its process, and that nothing of it stays."""

import gc
import logging
import weakref

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from mmxclip.protocols.isolation import end_workers, isolated

MANAGERS = (MMLogger, MessageHub, Visualizer, DefaultScope)


def instances():
    return {manager: list(manager._instance_dict) for manager in MANAGERS}


def test_instances_of_the_block_are_removed(tmp_path):
    before = instances()
    current = DefaultScope.get_current_instance().scope_name
    with isolated():
        logger = MMLogger.get_instance('a run', log_file=str(tmp_path / 'run.log'))
        MessageHub.get_instance('a run').update_info('best_score', 1.0)
        Visualizer.get_instance('a run')
        DefaultScope.get_instance('a run', scope_name='mmengine')
        assert all('a run' in manager._instance_dict for manager in MANAGERS)
        (file,) = [h for h in logger.handlers if isinstance(h, logging.FileHandler)]
    assert instances() == before
    assert DefaultScope.get_current_instance().scope_name == current
    assert file.stream is None  # closed
    with isolated():
        assert MessageHub.get_instance('a run').get_info('best_score') is None


def test_instances_are_removed_after_an_error():
    before = instances()
    with pytest.raises(KeyError), isolated():
        MessageHub.get_instance('a run')
        raise KeyError
    assert instances() == before


def test_random_numbers_do_not_follow_from_what_ran_before():
    """As in a fresh process, where a run without a seed draws one of its own."""
    drawn = []
    for _ in range(2):
        np.random.seed(0)
        with isolated():
            drawn.append(np.random.randint(2**31))
    assert drawn[0] != drawn[1]


def test_switches_are_set_back():
    before = torch.backends.cudnn.benchmark
    with isolated():
        torch.backends.cudnn.benchmark = not before
        torch.use_deterministic_algorithms(True)
    assert torch.backends.cudnn.benchmark is before
    assert not torch.are_deterministic_algorithms_enabled()


class Loop:
    """Holds a loader, and itself, as MMEngine's loops and runners hold one another."""

    def __init__(self):
        self.dataloader = torch.utils.data.DataLoader(
            list(range(4)), num_workers=1, persistent_workers=True
        )
        self._train_loop = self


def test_workers_end_and_memory_is_free():
    with isolated():
        runner = Loop()
        list(runner.dataloader)
        (worker,) = runner.dataloader._iterator._workers
        assert worker.is_alive()
        end_workers(runner)
        gone = weakref.ref(runner)
        assert not worker.is_alive()
        gc.disable()
        del runner
    gc.enable()
    assert gone() is None
