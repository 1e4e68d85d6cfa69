"""What a classifier answers: dictionaries with the keys of Hugging Face's pipelines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mmxclip.errors import ConfigError, MMXCLIPError


class LabelScore(dict):
    """A label and its probability, ``{'label': …, 'score': …}``.

    Args:
        label: class name.
        score: 0 to 1; those of all labels add up to 1.
    """

    def __init__(self, label: str, score: float) -> None:
        super().__init__(label=label, score=score)

    @property
    def label(self) -> str:
        """Class name."""
        return self['label']

    @property
    def score(self) -> float:
        """Probability, 0 to 1."""
        return self['score']


class VideoPrediction(dict):
    """The likeliest labels of a video, ``{'video': …, 'predictions': [{'label', 'score'}, …]}``.

    Args:
        video: path or address as it was given; ``'<frames 0>'`` for an array, by position.
        predictions: in falling order of score.
    """

    def __init__(self, video: str, predictions: Iterable[LabelScore]) -> None:
        super().__init__(video=video, predictions=list(predictions))

    @property
    def video(self) -> str:
        """Path or address as it was given."""
        return self['video']

    @property
    def predictions(self) -> list[LabelScore]:
        """Labels in falling order of score."""
        return self['predictions']

    def to_dict(self) -> dict[str, Any]:
        """The same in plain dictionaries."""
        return {'video': self.video, 'predictions': [dict(item) for item in self.predictions]}

    def rows(self) -> list[dict[str, Any]]:
        """A flat row for each label: ``video``, ``rank`` (from 1), ``label``, ``score``."""
        return [
            {'video': self.video, 'rank': rank, **item}
            for rank, item in enumerate(self.predictions, start=1)
        ]


@dataclass(frozen=True)
class VideoFailure:
    """A video that could not be classified.

    Args:
        video: as :class:`VideoPrediction` has it.
        error: what is wrong with it, in one line that names it.
    """

    video: str
    error: MMXCLIPError


class Predictions(list[VideoPrediction]):
    """Results of several videos, in the order in which these were given."""

    def to_dict(self) -> list[dict[str, Any]]:
        """The same in plain lists and dictionaries, as ``json`` writes them."""
        return [item.to_dict() for item in self]

    def rows(self) -> list[dict[str, Any]]:
        """A flat row for each video and label."""
        return [row for item in self for row in item.rows()]

    def to_pandas(self) -> Any:
        """A data frame with the columns ``video``, ``rank``, ``label`` and ``score``.

        Raises:
            ConfigError: pandas is not installed.
        """
        return to_data_frame(self.rows())


COLUMNS = ('video', 'rank', 'label', 'score')


def to_data_frame(rows: list[dict[str, Any]]) -> Any:
    """Rows of :meth:`Predictions.rows` as a data frame of pandas."""
    try:
        pandas: Any = import_module('pandas')
    except ImportError:
        raise ConfigError(
            'data frames need pandas; pip install "mmxclip[tables]", or take rows() or to_dict()'
        ) from None
    return pandas.DataFrame(rows, columns=list(COLUMNS))
