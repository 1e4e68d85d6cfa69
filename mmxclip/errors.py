"""Errors that a user can cause and a user can mend.

Every message names the thing, the value it had, what was expected and the way
out, so that the command line can print it alone, without a traceback.
"""


class MMXCLIPError(Exception):
    """Base of all errors that the command line prints as one line."""


class ConfigError(MMXCLIPError, ValueError):
    """A configuration that contradicts itself, its data or its classes."""


class DataError(MMXCLIPError, ValueError):
    """An annotation, a label list or a video that cannot be used."""


class CheckpointError(MMXCLIPError, ValueError):
    """A weights file that is absent, unsafe, foreign or does not fit."""
