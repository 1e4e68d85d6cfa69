"""HMDB51: a file for each class and split that says what each video is for."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from mmxclip.errors import DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.names import ClassIds
from mmxclip.preparation.reading import find_file, read_rows, search_roots
from mmxclip.preparation.structure import Entry, Listing, Source

SPLITS = (1, 2, 3)
FOLDER = 'testTrainMulti_7030_splits'
SUBFOLDERS = (FOLDER, f'test_train_splits/{FOLDER}', 'annotations')
PARTS = {'1': 'train', '2': 'val'}


def read(videos: Path, annotations: Path | None, label_order: str) -> Source:
    """Read the three splits of 51 files each.

    Args:
        videos: folder of the unpacked videos, with a folder for each class or flat.
        annotations: folder of ``<class>_test_split<1..3>.txt``.
        label_order: ``mmaction2`` or ``xclip``.

    Raises:
        DataError: files are absent or foreign, or a row is wrong.
    """
    roots = search_roots(videos, annotations, SUBFOLDERS)
    folder = find_file(roots, ['*_test_split1.txt'], 'the split files of HMDB51').parent
    classes = load_class_names('hmdb51', label_order)
    listings = []
    for split in SPLITS:
        parts = _read_split(folder, split, ClassIds(classes))
        for part, entries in parts.items():
            file_name = f'hmdb51_{part}_split_{split}_videos.txt'
            by_label = tuple(sorted(entries, key=lambda entry: entry.label))
            listings.append(Listing(f'{part}_split_{split}', file_name, by_label, folder, videos))
    return Source('hmdb51', classes, tuple(listings))


def _read_split(folder: Path, split: int, ids: ClassIds) -> dict[str, list[Entry]]:
    parts: dict[str, list[Entry]] = {part: [] for part in PARTS.values()}
    ending = f'_test_split{split}.txt'
    missing = dict.fromkeys(ids.classes)
    places: dict[str, str] = {}
    for file in sorted(folder.glob(f'*{ending}')):
        label = ids.require(file.name.removesuffix(ending), str(file), 'HMDB51')
        missing.pop(ids.classes[label], None)
        for number, row in read_rows(file):
            place = f'{file}: row {number}'
            name, flag = _parse(row, place)
            if name in places:
                raise DataError(
                    f'{place}: {name} is listed before, in {places[name]}; a video belongs to one '
                    'class once'
                )
            places[name] = place
            if flag in PARTS:
                parts[PARTS[flag]].append(Entry(name, label))
    if missing:
        raise DataError(
            f'{folder}: split {split} lacks {len(missing)} of {len(ids.classes)} classes, first '
            f'{next(iter(missing))!r}; unpack {FOLDER} anew'
        )
    return parts


def _parse(row: str, place: str) -> tuple[str, str]:
    """Name without ending, and flag: 0 unused, 1 training, 2 test."""
    cells = row.rsplit(None, 1)
    if len(cells) != 2 or not cells[0].endswith('.avi') or '/' in cells[0]:
        raise DataError(
            f'{place} is {row!r}; expected "name.avi" and 0, 1 or 2, as in the files of {FOLDER}'
        )
    if cells[1] not in ('0', '1', '2'):
        raise DataError(
            f'{place}: flag {cells[1]!r} is not known; expected 0 (unused), 1 (training) or 2 '
            f'(test), as in the files of {FOLDER}'
        )
    return PurePosixPath(cells[0]).stem, cells[1]
