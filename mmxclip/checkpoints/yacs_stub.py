"""The settings that the authors' files carry, read as plain data with yacs absent."""

from __future__ import annotations

from collections import OrderedDict

CONFIG_NODE = 'yacs.config.CfgNode'


class ConfigNode:
    """Stands for ``yacs.config.CfgNode`` while a file is read.

    yacs' class is a dict with flags of its own. Here it becomes an
    ``OrderedDict``, the one kind of dict that torch's restricted unpickler lets
    a file give both entries and attributes; no code of yacs or of the file is
    run, and the flags have no meaning afterwards.
    """

    def __new__(cls) -> OrderedDict:  # type: ignore[misc]
        """Make the plain dict; a file that passes arguments is refused."""
        return OrderedDict()
