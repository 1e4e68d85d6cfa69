"""Shared fixtures: slow tests on demand, random state restored after each test."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

import mmxclip  # noqa: F401  (mends upstream before anything imports mmaction.models)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption('--run-slow', action='store_true', help='also run tests marked slow')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption('--run-slow'):
        return
    skip = pytest.mark.skip(reason='slow: give --run-slow')
    for item in items:
        if 'slow' in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True, scope='session')
def _own_cache(tmp_path_factory):
    """Keep text features and the like out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMXCLIP_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(autouse=True)
def _restore_random_state():
    """Seed each test alike, and give the random state back untouched."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


@pytest.fixture(autouse=True, scope='session')
def _mmaction_scope():
    """Give all tests the scope that configs set, before any other fixture builds something."""
    from mmengine.registry import DefaultScope

    DefaultScope.get_instance('tests', scope_name='mmaction')
    return DefaultScope._instance_dict.copy()


@pytest.fixture(autouse=True)
def _restore_scope(_mmaction_scope):
    """Undo what runners leave behind: a scope instance each, the last of which counts.

    Also those of runners that fixtures of a module have run, before this test began.
    """
    from mmengine.registry import DefaultScope

    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(_mmaction_scope)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """A function that returns the warnings of MMEngine's current logger so far."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lambda: [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    logger.removeHandler(caplog.handler)
