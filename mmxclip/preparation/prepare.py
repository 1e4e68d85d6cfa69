"""From a dataset as it was downloaded to the lists that configs name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mmxclip.errors import ConfigError, DataError
from mmxclip.preparation.annotations import require_folder, write_list
from mmxclip.preparation.copies import copy_path, copy_videos, find_ffmpeg
from mmxclip.preparation.integrity import check_videos
from mmxclip.preparation.journal import Journal
from mmxclip.preparation.report import Report
from mmxclip.preparation.sources import read_source
from mmxclip.preparation.structure import Listing, Row, Source
from mmxclip.preparation.video_index import VideoIndex
from mmxclip.preparation.writing import SubsetOptions, Subsets, Usable

PATIENCE = 10  # times as long as decoding, encoding may take


@dataclass(frozen=True)
class Options:
    """What the user asks for; see ``tools/data/prepare.py --help``.

    Args:
        dataset: ``kinetics400``, ``kinetics600``, ``hmdb51``, ``ucf101`` or ``ssv2``.
        videos: folder of the videos as unpacked.
        out: folder for lists and report.
        annotations: folder of the owners' annotation files, if elsewhere.
        label_order: of HMDB51, ``mmaction2`` or ``xclip``.
        check: ``'places'``, ``'full'`` or None.
        workers: processes that check and re-encode.
        timeout: seconds for decoding one video; a copy may take 10 times as long.
        short_side: of copies in pixels; None makes none.
        copies: folder for them.
        subsets: which few-shot and zero-shot lists to make.
    """

    dataset: str
    videos: Path
    out: Path
    annotations: Path | None = None
    label_order: str = 'mmaction2'
    check: str | None = 'places'
    workers: int = 1
    timeout: float = 120.0
    short_side: int | None = None
    copies: Path | None = None
    subsets: SubsetOptions = field(default_factory=SubsetOptions)


@dataclass
class Part:
    """A listing and its videos on disk, those apart that turn out unusable."""

    listing: Listing
    folder: Path
    rows: list[Row]

    def drop(self, faults: dict[str, str]) -> None:
        """Leave out rows whose paths are in ``faults``."""
        self.rows = [row for row in self.rows if row.path not in faults]


def prepare(options: Options, say: Callable[[str], None]) -> None:
    """Read, look for the videos, check and re-encode them, write lists and a report.

    Args:
        options: what to do.
        say: takes lines for the user.

    Raises:
        ConfigError: options do not fit together or the machine.
        DataError: annotation files are wrong, videos are absent, or a folder is
            not writable.
    """
    source = read_source(options.dataset, options.videos, options.annotations, options.label_order)
    subsets = Subsets(source, options.subsets)
    require_folder(options.out, '--out')
    if options.short_side is not None:
        _require_room_for_copies(options)
    report = Report(options.dataset)
    for note in source.notes:
        say(note)
    parts = _look_for_videos(source, report)
    if options.check is not None:
        _check(parts, options, 'checked', report, say)
    if options.short_side is not None:
        _copy(parts, options, report, say)
    usable = Usable(
        source, {part.listing.part: tuple(part.rows) for part in parts}, options.out, report, say
    )
    for part in parts:
        _write_part(part, options.out, report, say)
    subsets.write(usable)
    file = options.out / f'{options.dataset}_report.json'
    report.write(file)
    say(f'missing and undecodable videos, with reasons: {file}')


def _require_room_for_copies(options: Options) -> None:
    """Find out before hours of checking that copies cannot be made."""
    assert options.copies is not None
    find_ffmpeg()
    copies, videos = options.copies.resolve(), options.videos.resolve()
    if copies == videos or videos in copies.parents or copies in videos.parents:
        raise ConfigError(
            f'--reencoded-dir {options.copies} and --videos {options.videos} lie one in '
            'the other; give a folder apart from the videos'
        )
    require_folder(options.copies, '--reencoded-dir')


def _look_for_videos(source: Source, report: Report) -> list[Part]:
    indices: dict[Path, VideoIndex] = {}
    parts = []
    for listing in source.listings:
        if listing.folder is None:
            continue
        if listing.folder not in indices:
            indices[listing.folder] = VideoIndex(listing.folder)
        index = indices[listing.folder]
        rows = []
        for entry in listing.entries:
            path = index.find(entry.name, source.classes[entry.label])
            if path is not None:
                rows.append(Row(entry.name, entry.label, path))
        if not rows:
            raise DataError(
                f'{listing.folder} has none of the {len(listing.entries)} videos that '
                f'{listing.origin} lists, first {listing.entries[0].name}; give the videos of '
                f'{source.name} by --videos'
            )
        found = {row.name for row in rows}
        report.add_missing(
            listing.file_name, (e.name for e in listing.entries if e.name not in found)
        )
        parts.append(Part(listing, listing.folder, rows))
    return parts


def _by_folder(parts: list[Part]) -> dict[Path, list[str]]:
    """Paths to work on, each once, by the folders that they are below."""
    paths: dict[Path, dict[str, None]] = {}
    for part in parts:
        paths.setdefault(part.folder, {}).update(dict.fromkeys(row.path for row in part.rows))
    return {folder: list(held) for folder, held in paths.items()}


def _check(
    parts: list[Part], options: Options, name: str, report: Report, say: Callable[[str], None]
) -> None:
    assert options.check is not None
    for folder, paths in _by_folder(parts).items():
        # of Kinetics there are several folders, with clips of equal names in some copies
        suffix = '' if folder in (options.videos, options.copies) else f'_{folder.name}'
        journal = Journal(options.out / f'{options.dataset}{suffix}_{name}.jsonl')
        faults = check_videos(
            paths, folder, journal, options.check, options.workers, options.timeout, say
        )
        report.add_undecodable(folder, faults)
        for part in parts:
            if part.folder == folder:
                part.drop(faults)


def _copy(parts: list[Part], options: Options, report: Report, say: Callable[[str], None]) -> None:
    """Make copies, let the parts point to them, and check what was made."""
    assert options.short_side is not None
    assert options.copies is not None
    for folder, paths in _by_folder(parts).items():
        below = folder.relative_to(options.videos)
        out = options.copies / below
        suffix = f'_{folder.name}' if below.parts else ''
        journal = Journal(options.copies / f'{options.dataset}{suffix}_copies.jsonl')
        faults = copy_videos(
            *(paths, folder, out, journal, options.short_side, options.workers),
            *(PATIENCE * options.timeout, say),
        )
        report.add_undecodable(folder, faults)
        for part in parts:
            if part.folder == folder:
                part.drop(faults)
                part.rows = [Row(row.name, row.label, copy_path(row.path)) for row in part.rows]
                part.folder = out
    if options.check is not None:
        _check(parts, options, 'copies_checked', report, say)


def _write_part(part: Part, out: Path, report: Report, say: Callable[[str], None]) -> None:
    listing = part.listing
    if not part.rows:
        raise DataError(
            f'{listing.folder}: none of the videos of {listing.file_name} can be used; the first '
            f'reason is {report.first_reason()!r}'
        )
    write_list(out / listing.file_name, [(row.path, row.label) for row in part.rows])
    line = report.add_list(listing.file_name, len(part.rows), len(listing.entries))
    missing = len(report.missing.get(listing.file_name, ()))
    bad = len(listing.entries) - len(part.rows) - missing
    details = [f'{missing} missing'] * bool(missing) + [f'{bad} undecodable'] * bool(bad)
    say(f'{line} ({", ".join(details)})' if details else line)
