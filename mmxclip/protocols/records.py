"""What is known of a run, on disk: enough to go on after the process was killed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmxclip.errors import ConfigError
from mmxclip.protocols.fingerprint import differences

NAME = 'run.json'
LOCK = '.protocol.lock'
MAX_LISTED = 6


@dataclass
class Record:
    """One run.

    Args:
        fingerprints: what each step depends on, ``'train'`` or the name of an
            evaluation.
        trained: name of the last checkpoint, epochs, seed; None until training
            is over.
        tests: what each evaluation that is over has come to.
    """

    fingerprints: dict[str, dict[str, str]]
    trained: dict[str, Any] | None = None
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the record into the folder of its run, wholly or not at all."""
        write_whole(folder / NAME, json.dumps(asdict(self), indent=1) + '\n')


def read(folder: Path) -> Record | None:
    """The record in ``folder``, or None where no run has begun.

    Raises:
        ConfigError: the folder holds something else.
    """
    path = folder / NAME
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(
                f'{str(folder)!r} holds files and no {NAME}, so it is no run of a protocol; move '
                'it away, or give another --work-dir'
            )
        return None
    try:
        return Record(**json.loads(path.read_text(encoding='utf-8')))
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f'{str(path)!r} is no record of a run ({error}); move the folder away, or give '
            'another --work-dir'
        ) from error


def check(record: Record, fingerprints: Mapping[str, Mapping[str, str]], folder: Path) -> None:
    """Refuse to go on with a run that other settings have begun.

    Raises:
        ConfigError: names what has changed.
    """
    began, goes_on = ('train' in steps for steps in (record.fingerprints, fingerprints))
    if began != goes_on:
        raise ConfigError(
            f'{str(folder)!r} was begun {"with" if began else "without"} training; --fresh starts '
            'over, and another --work-dir keeps both'
        )
    for step, old in record.fingerprints.items():
        changed = differences(old, fingerprints.get(step, {}))
        if changed:
            more = f' and {len(changed) - MAX_LISTED} more' if len(changed) > MAX_LISTED else ''
            way_out = '--fresh starts over'
            if step != 'train' and 'train' in record.fingerprints:
                way_out = '--retest tests again with what was trained, --fresh starts over'
            raise ConfigError(
                f'{str(folder)!r} was begun with other settings for {step}: '
                f'{", ".join(changed[:MAX_LISTED])}{more} have changed; {way_out}, and another '
                '--work-dir keeps both'
            )


def forget(folder: Path) -> None:
    """Delete a run; a folder that is none is left alone."""
    if (folder / NAME).is_file():
        shutil.rmtree(folder)


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.partial')
    partial.write_text(text, encoding='utf-8')
    os.replace(partial, path)


@contextmanager
def locked(work_dir: Path) -> Iterator[None]:
    """Keep other processes from walking a protocol in the same folder.

    The system releases the lock when the process ends, however it ends.

    Raises:
        ConfigError: another process holds it.
    """
    with open(work_dir / LOCK, 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f'another process works on a protocol in {str(work_dir)!r}; wait for it, or give '
                'another --work-dir'
            ) from error
        except OSError:  # a file system without locks
            pass
        yield
