"""Something-Something V2: labels and splits as JSON, videos by their ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmxclip.errors import DataError
from mmxclip.preparation.names import ClassIds
from mmxclip.preparation.reading import find_file, read_json, search_roots
from mmxclip.preparation.structure import Entry, Listing, Source

NUM_CLASSES = 174
PREFIX = 'something-something-v2-'
SUBFOLDERS = ('labels', 'annotations')
PARTS = {'train': 'train', 'val': 'validation'}


def read(videos: Path, annotations: Path | None) -> Source:
    """Read labels, training and validation split.

    Args:
        videos: folder of ``ID.webm``.
        annotations: folder of ``something-something-v2-labels.json``,
            ``-train.json`` and ``-validation.json``; also under the names
            without that beginning.

    Raises:
        DataError: files are absent or of another version, or an entry is wrong.
    """
    roots = search_roots(videos, annotations, SUBFOLDERS)
    file = find_file(roots, [f'{PREFIX}labels.json', 'labels.json'], 'the labels of SSv2')
    classes = _read_labels(file)
    ids = ClassIds(classes)
    prefix = PREFIX if file.name.startswith(PREFIX) else ''
    listings, seen = [], dict[str, str]()
    for part, stem in PARTS.items():
        split = file.parent / f'{prefix}{stem}.json'
        entries = tuple(_read_split(split, ids, seen))
        listings.append(Listing(part, f'ssv2_{part}_list_videos.txt', entries, split, videos))
    return Source('ssv2', classes, tuple(listings))


def _read_labels(file: Path) -> tuple[str, ...]:
    """Class names in the order of their ids."""
    held = read_json(file, dict)
    names: dict[int, str] = {}
    for name, number in held.items():
        text = str(number)
        if not text.isdecimal() or int(text) >= NUM_CLASSES or int(text) in names:
            raise DataError(
                f'{file}: class {name!r} has id {number!r}; expected ids from 0 to '
                f'{NUM_CLASSES - 1}, each once: take the labels of version 2'
            )
        names[int(text)] = name
    if len(names) != NUM_CLASSES:
        raise DataError(
            f'{file} has {len(names)} classes; expected the {NUM_CLASSES} of Something-Something V2'
        )
    return tuple(names[label] for label in range(NUM_CLASSES))


def _read_split(file: Path, ids: ClassIds, seen: dict[str, str]) -> list[Entry]:
    entries = []
    for number, item in enumerate(read_json(file, list), start=1):
        place = f'{file}: entry {number}'
        video, template = _fields(item, place)
        name = template.replace('[', '').replace(']', '')
        label = ids.require(name, place, 'Something-Something V2')
        if video in seen:
            raise DataError(
                f'{place}: video {video} is listed before, in {seen[video]}; a video belongs to '
                'one split once'
            )
        seen[video] = place
        entries.append(Entry(video, label))
    return entries


def _fields(item: Any, place: str) -> tuple[str, str]:
    video, template = (
        (item.get('id'), item.get('template')) if isinstance(item, dict) else (None, None)
    )
    if not str(video).isdecimal() or not isinstance(template, str):
        raise DataError(
            f'{place} is {str(item)[:80]!r}; expected an object with a number as "id" and a '
            f'"template", as in {PREFIX}train.json'
        )
    return str(video), template
