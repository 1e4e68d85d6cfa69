"""Kinetics-400 and -600 as the CVDF distributes them: folders of clips and a csv for each."""

from __future__ import annotations

from pathlib import Path

from mmxclip.errors import DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.names import ClassIds
from mmxclip.preparation.reading import look_for, read_csv, search_roots
from mmxclip.preparation.structure import Entry, Listing, Source

COLUMNS = ('label', 'youtube_id', 'time_start', 'time_end')
# Names of the same folder, those of MMAction2's scripts among them.
FOLDERS = {
    'train': ('videos_train', 'train'),
    'val': ('videos_val', 'val', 'validate', 'validation'),
    'test': ('videos_test', 'test'),
}
CSVS = {'train': ('train',), 'val': ('val', 'validate'), 'test': ('test',)}


def read(name: str, videos: Path, annotations: Path | None) -> Source:
    """Read the csv of each part; parts without a folder have their annotation alone.

    Args:
        name: ``kinetics400`` or ``kinetics600``.
        videos: folder that holds ``train``, ``val`` and ``test``, or some of
            them: flat, or with a folder for each class.
        annotations: folder of ``train.csv``, ``val.csv`` and ``test.csv``.

    Raises:
        DataError: there is no part with clips and csv both, a folder of clips
            for training or validation lacks its csv, or a csv is not Kinetics'.
    """
    roots = search_roots(videos, annotations, ('annotations', name))
    classes = load_class_names(name)
    listings, notes = [], []
    for part in FOLDERS:
        folder = _folder(videos, part)
        file = look_for(roots, _csv_names(name, part))
        if folder is None and file is None:
            continue
        if file is None:
            if part == 'test':
                notes.append(f'{folder}: left out, no test.csv was found')
                continue
            raise DataError(
                f'{folder} has clips, but there is no {CSVS[part][0]}.csv in {roots[0]} or near '
                'it; give the folder of the csv files by --annotations'
            )
        if folder is None:
            notes.append(f'{file}: no list, {videos} has no folder {" or ".join(FOLDERS[part])}')
        if part == 'test' and not _has_labels(file):
            notes.append(f'{file}: no list, it has no labels')
            continue
        entries = _entries(file, ClassIds(classes), name)
        listings.append(Listing(part, f'{name}_{part}_list_videos.txt', entries, file, folder))
    if not any(listing.folder for listing in listings):
        raise DataError(
            f'--videos {videos} holds none of the folders '
            f'{", ".join(names[-1] for names in FOLDERS.values())}; give the folder that holds '
            f'them, as the archives of {name} unpack'
        )
    return Source(name, classes, tuple(listings), tuple(notes))


def _folder(videos: Path, part: str) -> Path | None:
    return next((videos / name for name in FOLDERS[part] if (videos / name).is_dir()), None)


def _csv_names(name: str, part: str) -> list[str]:
    prefixes = ('', f'{name}_', 'kinetics_')
    return [f'{prefix}{stem}.csv' for stem in CSVS[part] for prefix in prefixes]


def _has_labels(file: Path) -> bool:
    try:
        next(read_csv(file, ('label',)), None)
    except DataError:
        return False
    return True


def _entries(file: Path, ids: ClassIds, name: str) -> tuple[Entry, ...]:
    entries: dict[str, Entry] = {}
    for number, row in read_csv(file, COLUMNS):
        place = f'{file}: row {number}'
        label = ids.require(row['label'], place, name)
        start, end = (_seconds(row[column], place, column) for column in COLUMNS[2:])
        clip = f'{row["youtube_id"]}_{start:06d}_{end:06d}'
        if entries.setdefault(clip, Entry(clip, label)).label != label:
            raise DataError(
                f'{place}: clip {clip} is {row["label"]!r} here and '
                f'{ids.classes[entries[clip].label]!r} in a row above; keep one of the two'
            )
    if not entries:
        raise DataError(f'{file} has a header and no rows; take it anew from its owners')
    return tuple(entries.values())


def _seconds(text: str, place: str, column: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1e6 or value != int(value):
        raise DataError(f'{place}: {column} is {text!r}; expected whole seconds, as in 000012')
    return int(value)
