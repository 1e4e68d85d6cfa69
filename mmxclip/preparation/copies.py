"""Smaller copies of videos that are quick to seek in, made by FFmpeg side by side."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from mmxclip.errors import ConfigError, DataError
from mmxclip.preparation.journal import Facts, Journal, fingerprints
from mmxclip.preparation.parallel import Crew

GOP = 16
"""Frames from one keyframe to the next; so many are decoded, at most, to reach any one."""
ENDING = '.mp4'


def find_ffmpeg() -> str:
    """Path of an FFmpeg that can write H.264: on PATH, or that of imageio-ffmpeg.

    Raises:
        ConfigError: there is none.
    """
    program = shutil.which('ffmpeg')
    if program is None:
        try:
            import imageio_ffmpeg  # type: ignore[import-untyped]

            program = imageio_ffmpeg.get_ffmpeg_exe()
        except (ImportError, RuntimeError) as error:
            raise ConfigError(
                '--reencode needs ffmpeg, which is not on PATH, and imageio-ffmpeg brings none '
                f'({error}); install ffmpeg, or pip install "mmxclip[all]"'
            ) from error
    try:
        done = subprocess.run(
            [program, '-hide_banner', '-encoders'], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f'--reencode: {program} does not run ({error}); install ffmpeg, or '
            'pip install "mmxclip[all]"'
        ) from error
    if 'libx264' not in done.stdout:
        raise ConfigError(
            f'--reencode: {program} cannot write H.264 (it has no libx264); put another ffmpeg '
            'first on PATH'
        )
    return program


def command(program: str, source: Path, target: Path, short_side: int) -> list[str]:
    """The call of FFmpeg that makes one copy.

    Sides are even, as H.264 asks for, also those of odd videos; a smaller video
    is not enlarged. Frames are kept as they are, sound is not.
    """
    short = f'max(2,2*trunc(min({short_side},min(iw,ih))/2))'
    scale = f"scale=w='if(gt(iw,ih),-2,{short})':h='if(gt(iw,ih),{short},-2)'"
    return [
        *(program, '-nostdin', '-hide_banner', '-loglevel', 'error', '-y'),
        *('-threads', '1', '-i', f'file:{source}', '-map', '0:v:0', '-vf', scale),
        *('-c:v', 'libx264', '-preset', 'fast', '-crf', '18', '-pix_fmt', 'yuv420p'),
        *('-g', str(GOP), '-fps_mode', 'vfr', '-threads', '1', '-map_metadata', '-1'),
        *('-movflags', '+faststart', '-f', 'mp4', f'file:{target}'),
    ]


class Encoder:
    """Makes copies, one at a time.

    Args:
        program: path of FFmpeg.
        short_side: of the copies in pixels.
        timeout: seconds for one copy.
    """

    def __init__(self, program: str, short_side: int, timeout: float) -> None:
        self.program = program
        self.short_side = short_side
        self.timeout = timeout
        self._process: subprocess.Popen | None = None

    def __call__(self, item: tuple[Path, Path]) -> str | None:
        """What went wrong; None when the copy is there, whole."""
        source, target = item
        beside = target.with_name(f'.{target.name}.{os.getpid()}.partial')
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            reason = self._run(command(self.program, source, beside, self.short_side))
            if reason is None:
                os.replace(beside, target)
        except OSError as error:  # a full disk: the next copy would fail as well
            raise DataError(
                f'{target} cannot be written ({error.strerror}); check --reencoded-dir'
            ) from error
        finally:
            with contextlib.suppress(OSError):
                beside.unlink()
        return reason

    def _run(self, call: list[str]) -> str | None:
        self._process = subprocess.Popen(
            call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _, said = self._process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return f'ffmpeg was not done within {self.timeout:g} s'
        if self._process.returncode == 0:
            return None
        text = said.decode('utf-8', 'replace')
        if os.strerror(errno.ENOSPC) in text:  # no fault of the video's
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        lines = text.strip().splitlines()
        return f'ffmpeg: {lines[-1][:200] if lines else f"exit code {self._process.returncode}"}'

    def stop(self) -> None:
        """End FFmpeg, whatever it is doing."""
        if self._process is not None:
            self._process.kill()


def copy_path(path: str) -> str:
    """Path of the copy of a video below the folder of the copies."""
    return PurePosixPath(path).with_suffix(ENDING).as_posix()


def copy_videos(
    paths: Sequence[str],
    folder: Path,
    out: Path,
    journal: Journal,
    short_side: int,
    workers: int,
    timeout: float,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Make copies, those apart that an earlier run has made of the same files.

    Args:
        paths: below ``folder``.
        folder: of the videos.
        out: folder of the copies, which lie as the videos do.
        journal: of earlier copies, which is added to.
        short_side: in pixels.
        workers: processes.
        timeout: seconds for one copy.
        say: takes a line for the user.

    Returns:
        Reasons by path, of videos that could not be copied.

    Raises:
        ConfigError: there is no FFmpeg.
        DataError: a copy cannot be written.
    """
    program = find_ffmpeg()
    todo: dict[tuple[Path, Path], tuple[str, Facts]] = {}
    faults: dict[str, str] = {}
    for path, facts in zip(paths, fingerprints(folder / path for path in paths), strict=True):
        if isinstance(facts, OSError):
            faults[path] = f'cannot be reached ({facts.strerror})'
            continue
        target = out / copy_path(path)
        copied = journal.known(path, 'copy', facts)
        if not copied or copied['short_side'] != short_side or not target.is_file():
            todo[folder / path, target] = path, facts
    made = len(paths) - len(faults) - len(todo)
    say(f'videos to copy: {len(todo)}{f" ({made} copied before)" if made else ""}')
    crew: Crew[tuple[Path, Path], str | None] = Crew(
        lambda: Encoder(program, short_side, timeout), workers
    )
    with journal.open():
        for item, reason in crew.work(list(todo), 're-encoding'):
            path, facts = todo[item]
            if reason is None:
                journal.write(path, 'copy', facts, short_side=short_side)
            else:
                faults[path] = reason
    return faults
