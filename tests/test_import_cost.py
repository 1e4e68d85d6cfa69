"""Importing mmxclip brings its registries, and no library that can wait."""

import subprocess
import sys

import pytest

HEAVY = [
    *('open_clip', 'torchvision', 'timm', 'decord', 'av', 'transformers', 'matplotlib', 'scipy'),
    *('mmaction.models', 'mmaction.datasets', 'mmxclip.models', 'mmxclip.datasets'),
    *('mmxclip.engine', 'mmxclip.evaluation', 'mmxclip.checkpoints', 'mmxclip.apis'),
]


def run_python(code: str, **environment: str) -> str:
    """Return what ``code`` prints in a fresh interpreter."""
    import os

    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def added() -> set[str]:
    """Return the modules that mmxclip adds to what torch and MMAction2's registry load."""
    code = """
import sys
import torch, mmaction.registry
before = set(sys.modules)
import mmxclip
print(*sorted(set(sys.modules) - before), sep='\\n')
"""
    return set(run_python(code).split())


def test_own_modules_are_few(added):
    assert 'mmxclip.registry' in added
    assert len([name for name in added if name.startswith('mmxclip')]) <= 8


@pytest.mark.parametrize('library', HEAVY)
def test_library_waits(added, library):
    assert library not in added


def test_transformers_is_not_imported_when_it_is_installed(tmp_path):
    """Its version is read from its metadata; importing it takes seconds."""
    package = tmp_path / 'transformers'
    package.mkdir()
    (package / '__init__.py').write_text('raise SystemExit("transformers was imported")')
    info = tmp_path / 'transformers-5.24.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: transformers\nVersion: 5.24.0\n')
    code = "import mmxclip, sys; print('transformers' in sys.modules)"
    assert run_python(code, PYTHONPATH=str(tmp_path)).strip() == 'False'


def test_component_is_imported_when_asked_for():
    code = """
import sys, mmxclip
assert 'mmxclip.models' not in sys.modules
assert set(mmxclip.__all__) <= set(dir(mmxclip))
from mmxclip import XCLIP
assert mmxclip.XCLIP is XCLIP is sys.modules['mmxclip.models'].XCLIP
print(*(getattr(mmxclip, name) for name in mmxclip.__all__))
"""
    assert 'VideoPromptHead' in run_python(code)


def test_unknown_attribute():
    import mmxclip

    with pytest.raises(AttributeError, match="module 'mmxclip' has no attribute 'XClip'"):
        mmxclip.XClip  # noqa: B018


def test_config_scope_is_known_to_mmengine():
    from mmengine.config import utils

    import mmxclip  # noqa: F401

    assert utils.MODULE2PACKAGE['mmxclip'] == 'mmxclip'
