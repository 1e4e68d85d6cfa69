"""Mends what is broken upstream, in one place; see :func:`mend`."""


def mend() -> None:
    """Apply every shim whose fault is present."""
