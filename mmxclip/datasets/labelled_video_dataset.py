"""Videos listed in a text file, checked before anything is trained on them."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mmaction.datasets import VideoDataset
from mmengine.logging import print_log

from mmxclip.datasets.video_archive import Archive, split
from mmxclip.errors import ConfigError, DataError
from mmxclip.labels.agreement import disagreements, fitting_order
from mmxclip.labels.class_names import load_class_names
from mmxclip.registry import DATASETS

MAX_LISTED = 5


@DATASETS.register_module()
class LabelledVideoDataset(VideoDataset):
    """``VideoDataset`` that reads paths with spaces and refuses what is wrong.

    One video a line, ``path label``. The label is what follows the last
    delimiter, so that paths may hold spaces; blank lines are passed over; a
    path without an ending stands for ``.mp4``. Videos may lie in one ``.tar`` or
    ``.zip``, whose path stands for that of a folder. All faults of a file are
    gathered into one error with row numbers, counted from 1. Videos listed
    twice and classes without a video are allowed, and warned about.

    Args:
        ann_file: path of the list, UTF-8.
        pipeline: transforms, beginning with one that opens a video.
        classes: names in the order of the labels: a sequence, the name of a
            shipped list, or a ``.txt`` or ``.csv`` file. They go to ``metainfo['classes']``, where
            ``ClassNamesCheckHook`` holds them against the model's.
        num_classes: checked against ``classes``; without names, labels must be
            below it.
        check_files: whether every path must exist when the list is read.
        label_order: ``'mmaction2'`` or ``'xclip'``, for ``classes='hmdb51'``,
            whose labels are counted in two orders.
        check_class_folders: refuse a list in which a video's folder (or its
            file, named as in UCF101 and HMDB51) names one of the classes and its
            label is another's. Folders that are no class names do not matter.
        kwargs: of MMAction2's ``VideoDataset``: ``data_root``,
            ``data_prefix=dict(video=...)``, ``delimiter``, ``test_mode``, ...

    Raises:
        ConfigError: when names and ``num_classes`` disagree.
        DataError: when the list is absent or empty, a row is malformed, a
            label out of range, a file absent, or labels are those of another
            list of classes than the folders.
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: list,
        classes: str | Sequence[str] | None = None,
        num_classes: int | None = None,
        check_files: bool = True,
        label_order: str | None = None,
        check_class_folders: bool = True,
        **kwargs: Any,
    ) -> None:
        metainfo = dict(kwargs.pop('metainfo', None) or {})
        if classes is not None:
            metainfo['classes'] = load_class_names(classes, label_order)
            if num_classes not in (None, len(metainfo['classes'])):
                raise ConfigError(
                    f'num_classes={num_classes}, but classes holds {len(metainfo["classes"])} '
                    'names; drop num_classes or mend the names'
                )
            num_classes = len(metainfo['classes'])
        if kwargs.get('multi_class'):
            raise ConfigError(
                'LabelledVideoDataset reads one label per video; use '
                "MMAction2's VideoDataset for multi_class=True"
            )
        self.check_files = check_files
        self.check_class_folders = check_class_folders
        super().__init__(ann_file, pipeline, num_classes=num_classes, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Rows as ``dict(filename, label)``; see the class for what is refused."""
        rows, faults = self._parse()
        if not rows and not faults:
            raise DataError(f'{self.ann_file} lists no videos; expected rows of "path label"')
        if self.check_files:
            faults += self._absent(rows)
        if faults:
            faults.sort(key=lambda fault: fault[0])
            count = '1 row' if len(faults) == 1 else f'{len(faults)} rows'
            raise DataError(
                f'{self.ann_file}: {count} cannot be used: '
                f'{_listed([f"row {number}: {what}" for number, what in faults])}. '
                'Mend or remove them'
            )
        if self.check_class_folders:
            self._check_class_folders(rows)
        self._warn(rows)
        return [row for _, row in rows]

    def _parse(self) -> tuple[list[tuple[int, dict]], list[tuple[int, str]]]:
        """Numbered rows and numbered faults."""
        rows: list[tuple[int, dict]] = []
        faults: list[tuple[int, str]] = []
        for number, line in enumerate(self._lines(), start=1):
            if not line.strip():
                continue
            try:
                rows.append((number, self._row(line.strip())))
            except ValueError as error:
                faults.append((number, str(error)))
        return rows, faults

    def _lines(self) -> list[str]:
        try:
            return Path(self.ann_file).read_text(encoding='utf-8-sig').splitlines()
        except OSError as error:
            raise DataError(
                f'ann_file {self.ann_file} cannot be read ({error.strerror}); check ann_file and '
                'data_root'
            ) from error
        except UnicodeDecodeError as error:
            raise DataError(
                f'ann_file {self.ann_file} is not UTF-8 text (byte {error.start}); save it as UTF-8'
            ) from error

    def _row(self, line: str) -> dict:
        """One row; ValueError says what is wrong with it."""
        # None: any run of white space, as the usual lists have it
        parts = line.rsplit(None if self.delimiter == ' ' else self.delimiter, 1)
        if len(parts) != 2:
            raise ValueError(f'{line!r} has no label; expected "path{self.delimiter}label"')
        path, label = (part.strip() for part in parts)
        if not re.fullmatch('-?[0-9]+', label):
            raise ValueError(f'label {label!r} is no whole number')
        number = int(label)
        if number < 0 or (self.num_classes is not None and number >= self.num_classes):
            top = 'up' if self.num_classes is None else f'to {self.num_classes - 1}'
            raise ValueError(f'label {number} is out of range; expected 0 {top}')
        if not os.path.splitext(path)[1]:
            path += '.mp4'
        return {
            'filename': os.path.join(self.data_prefix.get('video') or '', path),
            'label': number,
        }

    def _check_class_folders(self, rows: list[tuple[int, dict]]) -> None:
        """Labels in another order than the names would train and score without a sign."""
        names = self.metainfo.get('classes')
        if names is None:
            return
        prefix = os.path.join(self.data_prefix.get('video') or '', '')
        listed = [
            (number, row['filename'].removeprefix(prefix), row['label']) for number, row in rows
        ]
        found = disagreements(listed, names)
        if not found:
            return
        first, order = found[0], fitting_order(listed, names)
        raise DataError(
            f'{self.ann_file}: {len(found)} of {len(listed)} rows have the label of another class '
            f'than their path names: row {first.number}: {first.path} has label {first.label}, '
            f'{names[first.label]!r}, and {names[first.named]!r} is {first.named}; '
            + (
                f"with label_order={order!r} all rows agree: set it here and in the model's head"
                if order
                else 'give classes in the order that the labels count in, mend the labels, or set '
                'check_class_folders=False if folders mean something else'
            )
        )

    def _warn(self, rows: list[tuple[int, dict]]) -> None:
        """Say what is allowed and rarely meant."""
        numbers, labels = defaultdict(list), defaultdict(set)
        for number, row in rows:
            numbers[row['filename']].append(number)
            labels[row['filename']].add(row['label'])
        twice = [
            f'{name} (rows {", ".join(map(str, numbers[name]))}'
            f'{", with different labels" * (len(labels[name]) > 1)})'
            for name in numbers
            if len(numbers[name]) > 1
        ]
        if twice:
            self._log(f'{len(twice)} videos are listed more than once: {_listed(twice)}')
        classes = self.metainfo.get('classes')
        if classes is not None:
            used = {row['label'] for _, row in rows}
            unused = [f'{name!r}' for label, name in enumerate(classes) if label not in used]
            if unused:
                self._log(
                    f'{len(unused)} of {len(classes)} classes have no video: {_listed(unused)}'
                )

    def _log(self, message: str) -> None:
        print_log(f'{self.ann_file}: {message}', logger='current', level=logging.WARNING)

    @staticmethod
    def _absent(rows: list[tuple[int, dict]]) -> list[tuple[int, str]]:
        """Faults for paths that are no file, looked up side by side for slow file systems."""
        with ThreadPoolExecutor(16) as pool:
            exists = list(pool.map(os.path.isfile, (row['filename'] for _, row in rows)))
        faults = []
        for (number, row), there in zip(rows, exists, strict=True):
            if not there and (fault := _fault_in_archive(row['filename'])):
                faults.append((number, fault))
        return faults


def _fault_in_archive(path: str) -> str | None:
    """What keeps a path that is no file from being a video; an archive's own fault is raised."""
    parts = split(path)
    if parts is None:
        return f'{path} is no file'
    archive = Archive.open(parts[0])
    try:
        archive.find(parts[1])
    except DataError as error:
        return str(error)
    return None


def _listed(items: list[str]) -> str:
    """The first few, and how many more there are."""
    more = f'; and {len(items) - MAX_LISTED} more' if len(items) > MAX_LISTED else ''
    return '; '.join(items[:MAX_LISTED]) + more
