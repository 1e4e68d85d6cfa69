"""What a run's numbers depend on, in a form that can be compared later."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmxclip.errors import DataError
from mmxclip.labels.class_names import SUFFIXES
from mmxclip.version import __version__

INIT = 'none'
"""In place of a checkpoint: what the config's own ``init_cfg`` and ``load_from`` give."""

COMMON = (
    *('model', 'data_preprocessor', 'custom_hooks', 'custom_imports', 'default_scope'),
    *('randomness', 'runner_type', 'strategy', 'model_wrapper_cfg', 'find_unused_parameters'),
    *('sync_bn', 'compile', 'load_from'),
)
TRAINING = (
    *('train_dataloader', 'train_cfg', 'val_dataloader', 'val_cfg', 'val_evaluator'),
    *('optim_wrapper', 'param_scheduler', 'auto_scale_lr', 'default_hooks'),
)
TESTING = ('test_dataloader', 'test_cfg', 'test_evaluator')
LOADING = ('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor')
HARMLESS = {
    *('default_hooks.logger', 'default_hooks.timer', 'default_hooks.visualization'),
    *(f'{loader}.{key}' for loader in ('val_dataloader', 'test_dataloader') for key in LOADING),
}
"""Settings that change how long a run takes and what it prints, and no number."""

MAX_LISTED = 5


def of_config(cfg: Config, parts: tuple[str, ...]) -> dict[str, str]:
    """Digests of the settings of ``cfg`` that count, by dotted key of two parts.

    Args:
        cfg: a whole config, with the options of the run.
        parts: ``TRAINING`` or ``TESTING``, to which those in common are added.
    """
    whole = cfg.to_dict()
    digests = {}
    for name in (*COMMON, *parts):
        value = whole.get(name)
        pairs = value.items() if isinstance(value, Mapping) else [('', value)]
        for key, inner in pairs:
            dotted = f'{name}.{key}'.rstrip('.')
            if dotted not in HARMLESS and value is not None:
                digests[dotted] = _digest(json.dumps(inner, sort_keys=True, default=repr).encode())
    return digests


def of_run(
    cfg: Config, parts: tuple[str, ...], checkpoint: str, lists: Mapping[str, str]
) -> dict[str, str]:
    """Everything that the numbers of a run depend on, the videos themselves left out.

    Args:
        cfg: a whole config, with the options of the run.
        parts: as :func:`of_config` takes them.
        checkpoint: from :func:`of_checkpoint`.
        lists: from :func:`of_lists`.
    """
    files = {f'file {path}': digest for path, digest in lists.items()}
    own = {'mmxclip version': __version__, 'checkpoint': checkpoint}
    return own | of_config(cfg, parts) | files


def of_checkpoint(path: str) -> str:
    """The digest of a weights file, or of all files of a folder; an address stands for itself."""
    if path == INIT or '://' in path:
        return path
    if not os.path.isdir(path):
        return of_file(Path(path))
    files = sorted(file for file in Path(path).rglob('*') if file.is_file())
    return _digest(
        json.dumps([[str(file.relative_to(path)), of_file(file)] for file in files]).encode()
    )


def of_file(path: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a file."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()[:16]


def of_lists(cfg: Config, loaders: tuple[str, ...]) -> dict[str, str]:
    """Digests, by path, of the annotation files and class names that ``loaders`` read.

    Raises:
        DataError: for files that do not exist.
    """
    paths = sorted({path for loader in loaders for path in _lists(cfg.get(loader))})
    absent = [path for path in paths if not os.path.isfile(path)]
    if absent:
        more = f' and {len(absent) - MAX_LISTED} more' if len(absent) > MAX_LISTED else ''
        raise DataError(
            f'{len(absent)} of {len(paths)} lists of the protocol do not exist: '
            f'{", ".join(absent[:MAX_LISTED])}{more}; make them by tools/data/prepare.py, or set '
            'data_root of the datasets'
        )
    return {path: of_file(Path(path)) for path in paths}


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Keys whose values differ, or that one side lacks."""
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def _lists(node: Any) -> Iterator[str]:
    """Local files that a dataset within ``node`` reads before its first video."""
    if isinstance(node, Mapping):
        name, root = node.get('ann_file'), node.get('data_root')
        if isinstance(name, str) and name and '://' not in name:
            yield os.path.join(root or '', name)
        classes = node.get('classes')
        if isinstance(classes, str) and classes.lower().endswith(SUFFIXES):
            yield os.path.expanduser(classes)
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for part in node:
            yield from _lists(part)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
