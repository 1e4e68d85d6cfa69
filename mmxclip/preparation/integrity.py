"""Whether videos can be decoded, found out side by side in processes that may crash or hang."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmxclip.datasets.video_readers import DecoderChild
from mmxclip.errors import DataError
from mmxclip.preparation.journal import Facts, Journal, fingerprints
from mmxclip.preparation.parallel import Crew

KINDS = ('places', 'full')
NUM_PLACES = 5
WHOLE = 2**31 - 1  # more frames than any video has


class Checker:
    """Opens videos in a process of its own and decodes them.

    Args:
        kind: ``'places'``: five frames from the first to the last; ``'full'``:
            every frame.
        timeout: seconds for opening a video, and for decoding it.
    """

    def __init__(self, kind: str, timeout: float) -> None:
        self.kind = kind
        self.child = DecoderChild(timeout)

    def __call__(self, path: Path) -> str | None:
        """What is wrong with a video; None when it can be used."""
        common: dict[str, Any] = {
            'path': str(path),
            'num_threads': 1,
            # above 0, what FFmpeg complains of is heeded
            'check_frames': WHOLE if self.kind == 'full' else 1,
        }
        try:
            facts, _ = self.child.request({'op': 'open', **common}, str(path))
            total = facts['total_frames']
            if total < 1:
                return 'it has no frames'
            if self.kind == 'places':
                indices = sorted({i * (total - 1) // (NUM_PLACES - 1) for i in range(NUM_PLACES)})
                self.child.request({'op': 'decode', 'indices': indices, **common}, str(path))
        except DataError as error:
            return _reason(str(error), path)
        return None

    def stop(self) -> None:
        """End the process."""
        self.child.stop()


def _reason(message: str, path: Path) -> str:
    """The cause without the name of the file in front and the way out behind."""
    cause = message.removeprefix(str(path)).lstrip(': ')
    return cause.split('; re-encode')[0].split('; check data_prefix')[0]


def check_videos(
    paths: Sequence[str],
    folder: Path,
    journal: Journal,
    kind: str,
    workers: int,
    timeout: float,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Check videos, those apart that an earlier run has checked and that have not changed.

    Args:
        paths: below ``folder``.
        folder: of the videos.
        journal: of earlier verdicts, which is added to.
        kind: ``'places'`` or ``'full'``; a video that stood the full check is not
            looked at in places again, and one that failed either stays failed.
        workers: processes.
        timeout: seconds for opening a video, and for decoding it.
        say: takes a line for the user.

    Returns:
        Reasons by path, of videos that cannot be used.

    Raises:
        ConfigError: no decoder can be started.
    """
    faults: dict[str, str] = {}
    todo: dict[Path, tuple[str, Facts]] = {}
    known = 0
    for path, facts in zip(paths, fingerprints(folder / path for path in paths), strict=True):
        if isinstance(facts, OSError):
            faults[path] = f'cannot be reached ({facts.strerror})'
            continue
        settled, reason = _settled(journal, path, kind, facts)
        known += settled
        if not settled:
            todo[folder / path] = path, facts
        elif reason is not None:
            faults[path] = reason
    say(f'videos to check: {len(todo)}{f" ({known} known from before)" if known else ""}')
    crew: Crew[Path, str | None] = Crew(lambda: Checker(kind, timeout), workers)
    with journal.open():
        for file, reason in crew.work(list(todo), 'checking'):
            path, facts = todo[file]
            journal.write(path, kind, facts, reason=reason)
            if reason is not None:
                faults[path] = reason
    return faults


def _settled(journal: Journal, path: str, kind: str, facts: Facts) -> tuple[bool, str | None]:
    """Whether no check is needed, and what an earlier one found."""
    entries = {other: journal.known(path, other, facts) for other in KINDS}
    for entry in entries.values():
        if entry is not None and entry['reason'] is not None:
            return True, entry['reason']
    needed = KINDS[KINDS.index(kind) :]
    return any(entries[other] is not None for other in needed), None
