"""What libraries say, kept off standard output."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator


class _Warnings(logging.Handler):
    """A line on standard error for each record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        warn(' '.join(record.getMessage().split()))


@contextlib.contextmanager
def only_warnings_to_stderr() -> Iterator[None]:
    """Let MMEngine's log, which goes to standard output, say warnings alone, on standard error."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    before = logger.handlers, logger.level
    logger.handlers = [_Warnings(logging.WARNING)]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', module='mmcv')  # about parts of a full mmcv
            yield
    finally:
        logger.handlers, logger.level = before


def warn(message: str) -> None:
    """A line on standard error."""
    print(f'mmxclip: warning: {message}', file=sys.stderr)  # noqa: T201
