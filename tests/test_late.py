from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from mmxclip.late import _Watch, when_imported


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``late_pkg`` whose module ``user`` takes a value from ``source`` on import."""
    package = tmp_path / 'late_pkg'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'source.py').write_text('value = 1\n')
    (package / 'user.py').write_text('from .source import value\n')
    (package / 'broken.py').write_text('value = 1\nraise ImportError("not today")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.meta_path)
    yield package
    sys.meta_path[:] = before
    for name in [name for name in sys.modules if name.startswith('late_pkg')]:
        del sys.modules[name]


def watches() -> list[str]:
    return [finder.name for finder in sys.meta_path if isinstance(finder, _Watch)]


def change(module: ModuleType) -> None:
    vars(module)['value'] += 1


def test_importers_see_the_changed_module() -> None:
    when_imported('late_pkg.source', change)
    assert 'late_pkg' not in sys.modules  # nothing was imported for it
    assert importlib.import_module('late_pkg.user').value == 2


def test_module_that_is_there_is_changed_at_once() -> None:
    module = importlib.import_module('late_pkg.source')
    when_imported('late_pkg.source', change)
    assert vars(module)['value'] == 2


def test_act_happens_once_and_leaves_nothing_behind() -> None:
    before = watches()
    when_imported('late_pkg.source', change)
    when_imported('late_pkg.source', change)
    module = importlib.import_module('late_pkg.source')
    assert vars(module)['value'] == 2
    assert watches() == before
    assert vars(importlib.reload(module))['value'] == 1  # a reload is its own affair


def test_failed_import_is_watched_further(packages: Path) -> None:
    when_imported('late_pkg.broken', change)
    with pytest.raises(ImportError, match='not today'):
        importlib.import_module('late_pkg.broken')
    (packages / 'broken.py').write_text('value = 5 * 2\n')
    importlib.invalidate_caches()
    assert vars(importlib.import_module('late_pkg.broken'))['value'] == 11


def test_absent_module_is_still_absent() -> None:
    when_imported('late_pkg.absent', change)
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'late_pkg\.absent'"):
        importlib.import_module('late_pkg.absent')


def test_several_modules_are_watched_apart() -> None:
    seen: list[str] = []
    for name in ('late_pkg.user', 'late_pkg.source'):
        when_imported(name, lambda module: seen.append(module.__name__))
    importlib.import_module('late_pkg.user')
    assert seen == ['late_pkg.source', 'late_pkg.user']
