"""A miniature of a benchmark, and protocols run on it within this process."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from miniature import ROOT, Miniature

from mmxclip.protocols import command
from mmxclip.zoo.published import PublishedResult

parse_args = runpy.run_path(str(ROOT / 'tools' / 'protocol.py'))['parse_args']


def row(method: str, setting: str, value: float, std: float | None = None) -> PublishedResult:
    """A published number."""
    return PublishedResult(
        method=method,
        config=None,
        protocol='any',
        benchmark='hmdb51',
        setting=setting,
        metric='top1',
        value=value,
        std=std,
        source='a paper',
    )


@pytest.fixture(scope='session')
def miniature(tmp_path_factory: pytest.TempPathFactory, _mmaction_scope: Any) -> Miniature:
    """Videos, lists, configs and a checkpoint."""
    return Miniature(tmp_path_factory.mktemp('hmdb51'))


@pytest.fixture(scope='session')
def run_protocol(miniature: Miniature) -> Iterator[Callable[..., dict[str, Any]]]:
    """A function that runs a protocol within this process and returns ``protocol.json``."""
    rows = [
        row('X-CLIP-B/16', 'mean of splits', 44.6, 5.2),
        row('X-CLIP-B/16', '2', 53.0),
        row('X-CLIP-B/16', 'base', 69.4),
        row('X-CLIP-B/16', 'hm', 55.0),
        row('X-CLIP-B/16', '4x3 views', 83.8),
    ]

    def run(name: str, work_dir: Path, *options: object, **given: Any) -> dict[str, Any]:
        config = given.get('config', miniature.configs[name])
        checkpoint = given.get('checkpoint', miniature.checkpoint)
        args = [name, config, checkpoint, '--work-dir', work_dir, *options]
        command.run(parse_args([str(arg) for arg in args]))
        return json.loads((work_dir / 'protocol.json').read_text())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, 'published_for', lambda plan, config: rows)
        yield run
