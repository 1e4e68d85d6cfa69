"""Fixtures of the models' tests; stands here also so that they find ``small_models``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from mmengine.logging import MMLogger


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """A function that returns the warnings of MMEngine's current logger so far."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lambda: [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    logger.removeHandler(caplog.handler)
