"""Tools run as a user runs them: in a process of their own, on a run of a few seconds."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY_RUN = Path(__file__).parent / 'tiny_run'
Done = subprocess.CompletedProcess


@pytest.fixture(scope='session')
def run_tool() -> Callable[..., Done]:
    """Return a function that runs ``tools/<name>`` with arguments and returns what came of it.

    An absolute path in place of the name runs a tool of another project. In the
    environment, configs find ``tiny_parts``.
    """
    tiny = {'PYTHONPATH': str(TINY_RUN), 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}

    def run(name: str | Path, *args: object, cwd: Path | None = None, **environment: str) -> Done:
        program = ['bash'] if str(name).endswith('.sh') else [sys.executable]
        return subprocess.run(
            [*program, ROOT / 'tools' / name, *map(str, args)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, **tiny, **environment},
        )

    return run


@pytest.fixture(scope='session')
def tiny_config() -> Path:
    """Return the config of a TSN on noise, which trains in a second."""
    return TINY_RUN / 'tiny_tsn.py'


@pytest.fixture(scope='session')
def xclip_config() -> Path:
    """Return the config of an X-CLIP of width 32 on the same data."""
    return TINY_RUN / 'tiny_xclip.py'


@pytest.fixture(scope='session')
def trained(run_tool, tiny_config, tmp_path_factory) -> tuple[Done, Path]:
    """Return what a training printed, and its work dir with ``epoch_1.pth``."""
    work_dir = tmp_path_factory.mktemp('trained')
    return run_tool('train.py', tiny_config, '--work-dir', work_dir, '--seed', 3), work_dir
