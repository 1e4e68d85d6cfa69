"""Acting on a module once it is imported, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def when_imported(name: str, act: Callable[[ModuleType], None]) -> None:
    """Call ``act`` with the module ``name``: now if it is there, else when it is.

    Args:
        name: full name of the module.
        act: called once, before whoever imports the module sees it.
    """
    if name in sys.modules:
        act(sys.modules[name])
    elif not any(isinstance(finder, _Watch) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch(name, act))


class _Watch(MetaPathFinder):
    """Finds nothing by itself: asks the other finders, and adds an act to what they find."""

    def __init__(self, name: str, act: Callable[[ModuleType], None]) -> None:
        self.name = name
        self.act = act

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the one module that is watched for."""
        if fullname != self.name:
            return None
        for finder in sys.meta_path:
            find = None if isinstance(finder, _Watch) else getattr(finder, 'find_spec', None)
            spec = find(fullname, path, target) if find else None
            if spec is not None:
                self._attach(spec)
                return spec
        return None

    def _attach(self, spec: ModuleSpec) -> None:
        assert spec.loader is not None  # a module of a file has one
        execute = spec.loader.exec_module

        def execute_and_act(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:  # not where two threads import at once
                sys.meta_path.remove(self)
            self.act(module)

        spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
