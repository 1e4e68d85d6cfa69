"""Checks of the data that a config names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from mmaction.registry import DATASETS
from mmengine.config import Config

from mmxclip.datasets.labelled_video_dataset import LabelledVideoDataset
from mmxclip.datasets.video_archive import split as split_archive
from mmxclip.doctor.finding import OK, PROBLEM, WARNING, Finding
from mmxclip.engine.hooks.class_names_check import check_classes
from mmxclip.errors import MMXCLIPError
from mmxclip.labels.class_names import load_class_names

SPLITS = ('train', 'val', 'test')
TIMEOUT = 60.0


def datasets_of(cfg: Config) -> dict[str, dict]:
    """Configs of datasets by split, without their wrappers."""
    found = {}
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        dataset = loader.get('dataset') if isinstance(loader, dict) else None
        while isinstance(dataset, dict) and isinstance(dataset.get('dataset'), dict):
            dataset = dataset['dataset']
        if isinstance(dataset, dict):
            found[split] = dataset
    return found


def is_listed(dataset: dict) -> bool:
    """Whether it is :class:`LabelledVideoDataset`, which says what it lacks."""
    kind = dataset.get('type')
    return (DATASETS.get(kind) if isinstance(kind, str) else kind) is LabelledVideoDataset


def missing_files(cfg: Config, splits: Sequence[str] = SPLITS) -> Iterator[Finding]:
    """Lists and folders of videos that do not exist; nothing is read.

    Args:
        cfg: a whole config.
        splits: those to look at.
    """
    for split, dataset in datasets_of(cfg).items():
        if split not in splits or not is_listed(dataset):
            continue
        root = dataset.get('data_root') or ''
        prefix = (dataset.get('data_prefix') or {}).get('video') or ''
        ann_file = os.path.join(root, dataset.get('ann_file') or '')
        videos = os.path.join(root, prefix)
        for what, path in (('list', ann_file), ('videos', videos)):
            if '://' in path or os.path.exists(path or '.'):
                continue
            if what == 'videos' and _may_do_without(path, ann_file):
                continue
            message = f'{what} {path!r} does not exist'
            yield Finding(f'{split} data', PROBLEM, message, remedy_for(root))


def _may_do_without(videos: str, ann_file: str) -> bool:
    """Whether rows may be found though there is no folder ``videos``: it lies in an archive,
    or the list, if it is there, begins with an absolute path or cannot be read here.
    """
    if split_archive(os.path.join(videos, '')) is not None:
        return True
    if not os.path.exists(ann_file):
        return False
    try:
        with open(ann_file, encoding='utf-8-sig') as file:
            first = next((line.strip() for line in file if line.strip()), '')
    except (OSError, UnicodeDecodeError):
        return True  # the dataset says what is wrong with its list
    return os.path.isabs(first)


def remedy_for(root: str) -> str:
    """How the files below ``root`` come about."""
    from mmxclip.preparation.sources import DATASETS as BENCHMARKS

    name = os.path.basename(os.path.normpath(root)) if root else ''
    if name in BENCHMARKS:
        return f'python tools/data/prepare.py {name} --videos DIR --out {root}, see docs/data.md'
    return 'set data_root, ann_file and data_prefix of the dataset'


def check_data(cfg: Config, num_videos: int) -> Iterator[Finding]:
    """Read the lists, compare the names of classes, and decode some videos.

    Args:
        cfg: a whole config.
        num_videos: of each split.
    """
    absent = list(missing_files(cfg))
    yield from absent
    names = _names_of_head(cfg)
    for split, config in datasets_of(cfg).items():
        check = f'{split} data'
        if any(finding.check == check for finding in absent):
            continue
        if not is_listed(config):
            yield Finding(check, OK, f'{config.get("type")} makes or finds its files by itself')
            continue
        try:
            dataset = DATASETS.build({**config, 'pipeline': []})
            known = dataset.metainfo.get('classes')
            check_classes(names, len(names) if names else None, known, dataset.num_classes, split)
        except MMXCLIPError as error:
            yield Finding(check, PROBLEM, str(error), remedy_for(config.get('data_root') or ''))
            continue
        yield Finding(check, OK, f'{len(dataset)} videos of {dataset.num_classes} classes')
        if num_videos:
            yield check_videos(check, dataset, num_videos)


def check_videos(check: str, dataset: Any, num_videos: int) -> Finding:
    """Decode videos that lie evenly in the list."""
    from mmxclip.datasets.video_readers import IsolatedReader

    step = max(1, len(dataset) // num_videos)
    paths = [dataset.get_data_info(i)['filename'] for i in range(0, len(dataset), step)]
    bad = []
    for path in paths[:num_videos]:
        try:
            reader = IsolatedReader(path, TIMEOUT, 1, 0)
            reader.decode([reader.total_frames // 2])
        except MMXCLIPError as error:
            bad.append(str(error))
    tried = min(num_videos, len(paths))
    if bad:
        return Finding(
            check,
            WARNING,
            f'{len(bad)} of {tried} videos tried cannot be decoded; the first: {bad[0]}',
            'python tools/data/prepare.py checks all of them and leaves the bad ones out',
        )
    return Finding(check, OK, f'{tried} videos tried can be decoded')


def _names_of_head(cfg: Config) -> tuple[str, ...] | None:
    head = (cfg.get('model') or {}).get('cls_head') or {}
    if not head.get('classes'):
        return None
    try:
        return load_class_names(head['classes'], head.get('label_order'))
    except MMXCLIPError:
        return None  # told by the check of the model
