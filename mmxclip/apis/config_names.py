"""Configs that the package brings along, by name."""

from __future__ import annotations

import difflib
from pathlib import Path

import mmxclip
from mmxclip.errors import ConfigError


def shipped_configs() -> dict[str, Path]:
    """Path of each config by its name, ``_base_`` left out."""
    return {path.stem: path for path in sorted(_configs().glob('*.py'))}


def find_config(name: str | Path) -> Path:
    """Path of a config, given that path or the name of a shipped one.

    Args:
        name: such as ``xclip_b16_k400``, or a ``.py`` file.

    Raises:
        ConfigError: there is no such one; the nearest names are given.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    shipped = shipped_configs()
    if path.name == str(name) and path.stem in shipped and path.suffix in ('', '.py'):
        return shipped[path.stem]
    nearest = ', '.join(difflib.get_close_matches(str(name), shipped, n=3, cutoff=0.5))
    raise ConfigError(
        f'config {str(name)!r} is neither a file nor the name of a shipped config'
        + (f'; nearest names: {nearest}' if nearest else '; mmxclip models lists those')
    )


def metafile() -> Path:
    """The list of the shipped models."""
    return _configs() / 'metafile.yml'


def _configs() -> Path:
    """The folder that ``mim`` reads; in a checkout that was never installed, its source."""
    package = Path(mmxclip.__file__).parent
    installed = package / '.mim' / 'configs'
    return installed if installed.is_dir() else package.parent / 'configs'
