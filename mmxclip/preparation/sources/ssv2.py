"""Something-Something V2: labels and splits as JSON, videos by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmxclip.errors import DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.names import ClassIds, plain
from mmxclip.preparation.reading import find_file, read_json, search_roots
from mmxclip.preparation.structure import Entry, Listing, Source

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
    classes = load_class_names('ssv2')
    _check_labels(file, classes)
    ids = ClassIds(classes)
    prefix = PREFIX if file.name.startswith(PREFIX) else ''
    listings, seen = [], dict[str, str]()
    for part, stem in PARTS.items():
        split = file.parent / f'{prefix}{stem}.json'
        entries = tuple(_read_split(split, ids, seen))
        listings.append(Listing(part, f'ssv2_{part}_list_videos.txt', entries, split, videos))
    return Source('ssv2', classes, tuple(listings))


def _check_labels(file: Path, classes: Sequence[str]) -> None:
    """See that the ids of the owners are those that configs count in."""
    held = read_json(file, dict)
    if len(held) != len(classes):
        raise DataError(
            f'{file} has {len(held)} classes; expected the {len(classes)} of Something-Something '
            'V2: take the labels of that version'
        )
    for name, number in held.items():
        text = str(number)
        label = int(text) if text.isdecimal() else -1
        if not 0 <= label < len(classes) or plain(classes[label]) != plain(name):
            raise DataError(
                f'{file}: class {name!r} has id {number!r}; expected the names and ids of '
                'Something-Something V2: take the labels of that version'
            )


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
