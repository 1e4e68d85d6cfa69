"""How a command line tool ends: with its result, or with one line that says what is wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import PurePath

from mmxclip.errors import MMXCLIPError

TRACEBACK = 'MMXCLIP_TRACEBACK'
# An exception that is raised in one of these folders of MMEngine itself, and
# not in something they call, is about what a config says: an unknown type, an
# argument that a class does not take, a base that is missing.
CONFIG_READERS = (('mmengine', 'registry'), ('mmengine', 'config'))


def run(main: Callable[[], object]) -> int:
    """Call ``main`` and return the exit code for it.

    Errors that the user can mend are printed as one line on stderr. Anything
    else is a fault of the software and keeps its traceback. With
    ``MMXCLIP_TRACEBACK=1`` in the environment every error keeps it.

    Args:
        main: the work of the tool; what it returns is not used.

    Returns:
        0 after success, 1 after an error that was printed, 130 when interrupted.
    """
    if os.environ.get(TRACEBACK) == '1':
        main()
        return 0
    try:
        main()
    except KeyboardInterrupt:
        print(f'{_speaker()}: interrupted', file=sys.stderr)  # noqa: T201
        return 130
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        print(f'{_speaker()}: error: {message}', file=sys.stderr)  # noqa: T201
        return 1
    return 0


def explain(error: BaseException) -> str | None:
    """Return what to tell the user about ``error`` in one line.

    Args:
        error: anything that ended a run, also one that a data loader worker
            or another exception has wrapped.

    Returns:
        The line, or None when the error is no fault of the user's.
    """
    for link in _chain(error):
        if isinstance(link, MMXCLIPError):
            return text_of(link)
    if isinstance(error, OSError):
        return f'{text_of(error)} ({TRACEBACK}=1 shows where)'
    if _raised_by_config_reader(error):
        return f'the config cannot be built: {text_of(error)} ({TRACEBACK}=1 shows where)'
    return None


def text_of(error: BaseException) -> str:
    """Return the message of ``error`` on one line, without what others wrapped around it."""
    # str() of a KeyError is the repr of its message
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if lines[0].startswith('Caught ') and len(lines) > 1:
        # A worker's error arrives as "Caught DataError in DataLoader worker
        # process 0. / Original Traceback … / mmxclip.errors.DataError: text".
        name, separator, text = lines[-1].partition(': ')
        return text if separator and name.split('.')[-1] == type(error).__name__ else lines[-1]
    return ' '.join(lines)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, its cause, the cause of that, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _raised_by_config_reader(error: BaseException) -> bool:
    """Return whether the innermost frame of ``error`` belongs to :data:`CONFIG_READERS`."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return False
    parts = PurePath(frames[-1].filename).parts
    return parts[-3:-1] in CONFIG_READERS


def _speaker() -> str:
    """Return the name that starts a message; ranks other than the first give their number."""
    rank = os.environ.get('RANK', '0')
    return 'mmxclip' if rank == '0' else f'mmxclip (rank {rank})'
