"""What each format gives: a file is written from a program, and read as a runner."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor, nn

CLIPS, CLASSES = 'clips', 'classes'
"""Names of the two dimensions that are free: N and, where text is an input, K."""


class Program(NamedTuple):
    """What is exported, with inputs to trace it by.

    Attributes:
        graph: see :class:`mmxclip.export.graph.Graph`.
        example: frames of two clips and, where text is an input, embeddings of three
            classes; one of either would be taken for a fixed size.
    """

    graph: nn.Module
    example: tuple[Tensor, ...]

    @property
    def dynamic_axes(self) -> list[dict[int, str]]:
        """Free dimensions of each input, by name."""
        return [{0: name} for name in (CLIPS, CLASSES)[: len(self.example)]]


class Runner(Protocol):
    """Runs a file that was read."""

    def __call__(
        self, frames: np.ndarray, text_features: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits and probabilities ``(N, K)`` of frames as the file takes them."""
        ...
