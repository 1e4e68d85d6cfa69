"""Label names as people type them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmxclip.errors import ConfigError, DataError
from mmxclip.labels.class_names import check_class_names, load_class_names

LAST_LATIN = 0x24F


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Label names as a tuple.

    Raises:
        ConfigError: there are fewer than two, or one is empty or given twice.
    """
    names = check_class_names(labels if isinstance(labels, str) else tuple(labels))
    if len(names) == 1:
        raise ConfigError(
            f'labels={list(names)!r:.80} is one label, whose score is 1 for every video; give at '
            'least two'
        )
    return names


def split_labels(texts: Sequence[str]) -> tuple[str, ...]:
    """Names between commas.

    Args:
        texts: such as ``['playing guitar, a dog running', 'singing']``.

    Raises:
        ConfigError: see :func:`check_labels`.
    """
    return check_labels([name.strip() for text in texts for name in text.split(',')])


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Names of a file, one a line; of a ``.csv`` as :func:`load_class_names` reads it.

    Raises:
        ConfigError: see :func:`check_labels`.
        DataError: the file cannot be read.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() == '.csv':
        return check_labels(load_class_names(file))
    try:
        return check_labels(file.read_text(encoding='utf-8-sig').rstrip().splitlines())
    except OSError as error:
        raise DataError(f'labels {path} cannot be read ({error.strerror}); check it') from error
    except UnicodeDecodeError as error:
        raise DataError(
            f'labels {path} are not UTF-8 text (byte {error.start}); save the file as UTF-8'
        ) from error
    except ConfigError as error:
        raise ConfigError(f'labels {path}: {error}') from None


def unfamiliar(labels: Sequence[str]) -> list[str]:
    """Labels in other scripts than Latin. CLIP reads any, and has learned English."""
    return [
        label
        for label in labels
        if any(letter.isalpha() and ord(letter) > LAST_LATIN for letter in label)
    ]
