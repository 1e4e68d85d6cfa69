"""UCF101: the lists of ``ucfTrainTestlist``."""

from __future__ import annotations

import re
from pathlib import Path

from mmxclip.errors import DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.names import ClassIds
from mmxclip.preparation.reading import find_file, read_rows, search_roots
from mmxclip.preparation.structure import Entry, Listing, Source

SPLITS = (1, 2, 3)
FOLDER = 'ucfTrainTestlist'
SUBFOLDERS = (FOLDER, f'UCF101TrainTestSplits-RecognitionTask/{FOLDER}', 'annotations')
VIDEO = re.compile(r'([A-Za-z]+)/(v_([A-Za-z]+)_g\d+_c\d+)\.avi')


def read(videos: Path, annotations: Path | None) -> Source:
    """Read the classes and the three splits.

    Args:
        videos: folder of the unpacked videos, with a folder for each class or flat.
        annotations: folder of ``classInd.txt``, ``trainlist01.txt``, ...

    Raises:
        DataError: files are absent or foreign, or a row is wrong.
    """
    roots = search_roots(videos, annotations, SUBFOLDERS)
    index = find_file(roots, ['classInd.txt'], 'the split files of UCF101')
    classes = load_class_names('ucf101')
    ids = ClassIds(classes)
    numbers = _read_class_index(index, ids)
    listings = []
    for split in SPLITS:
        seen: dict[str, str] = {}
        for part, stem in (('train', 'trainlist'), ('val', 'testlist')):
            file = index.parent / f'{stem}{split:02d}.txt'
            entries = tuple(_read_list(file, ids, numbers if part == 'train' else None, seen))
            file_name = f'ucf101_{part}_split_{split}_videos.txt'
            listings.append(Listing(f'{part}_split_{split}', file_name, entries, file, videos))
    return Source('ucf101', classes, tuple(listings))


def _read_class_index(file: Path, ids: ClassIds) -> dict[str, int]:
    """Label by the number that the lists give a class."""
    numbers: dict[str, int] = {}
    for number, row in read_rows(file):
        cells = row.split()
        label = ids.require(cells[1], f'{file}: row {number}', 'UCF101') if cells[1:] else None
        if len(cells) != 2 or label is None or cells[0] != str(label + 1):
            expected = f'{label + 1} {ids.classes[label]}' if label is not None else 'id Class'
            raise DataError(
                f'{file}: row {number} is {row!r}; expected {expected!r}: ids count from 1 in the '
                f'order of the names, as in {FOLDER}'
            )
        numbers[cells[0]] = label
    if len(numbers) != len(ids.classes):
        raise DataError(
            f'{file} has {len(numbers)} classes; expected the {len(ids.classes)} of UCF101: take '
            f'{FOLDER} anew'
        )
    return numbers


def _read_list(
    file: Path, ids: ClassIds, numbers: dict[str, int] | None, seen: dict[str, str]
) -> list[Entry]:
    """Entries of a list; ``numbers`` are those of a list with ids, which that of a test has not."""
    entries = []
    for number, row in read_rows(file):
        place = f'{file}: row {number}'
        cells = row.split()
        match = VIDEO.fullmatch(cells[0])
        if match is None or len(cells) != (1 if numbers is None else 2):
            raise DataError(
                f'{place} is {row!r}; expected "Class/v_Class_g01_c01.avi'
                f'{"" if numbers is None else " id"}", as in {FOLDER}'
            )
        label = ids.require(match[1], place, 'UCF101')
        if ids.get(match[3]) != label:
            raise DataError(
                f'{place}: {match[2]} is in the folder {match[1]}; expected a video of that class'
            )
        if numbers is not None and numbers.get(cells[1]) != label:
            raise DataError(
                f'{place}: id {cells[1]} is not that of {match[1]}, {label + 1}; take {FOLDER} '
                'anew, with its classInd.txt'
            )
        if match[2] in seen:
            raise DataError(
                f'{place}: {match[2]} is listed before, in {seen[match[2]]}; a video belongs to '
                'training or to test, once'
            )
        seen[match[2]] = place
        entries.append(Entry(match[2], label))
    return entries
