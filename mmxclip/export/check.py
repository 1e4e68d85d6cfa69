"""A written file against the model that it was made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmxclip.errors import DataError
from mmxclip.export.metadata import Metadata
from mmxclip.export.runner import Runner
from mmxclip.inference.computing import Computer

TOLERANCE = 1e-4
BATCHES = (1, 3)
"""Clips at once; both are others than the two that the graph was traced by."""
VOCABULARIES = (2, 5)
"""Classes at once, where text is an input."""


@dataclass(frozen=True)
class Difference:
    """How far outputs are from PyTorch's.

    Args:
        logits: largest difference, divided by the largest logit.
        probabilities: largest difference.
    """

    logits: float
    probabilities: float

    @property
    def within(self) -> bool:
        """Whether both are at most :data:`TOLERANCE`; NaN is not."""
        return self.logits <= TOLERANCE and self.probabilities <= TOLERANCE


def compare(
    run: Runner, model: nn.Module, metadata: Metadata, text_features: Tensor | None
) -> Difference:
    """Measure the largest difference on random frames.

    The other side is the recognizer as it classifies, with its own preprocessor.

    Args:
        run: of the file.
        model: the recognizer.
        metadata: of the file.
        text_features: ``(K, E)``; None where they are an input, random here.
    """
    generator = torch.Generator().manual_seed(0)
    computer = Computer(model, torch.device('cpu'), None, max(BATCHES))
    worst = Difference(0.0, 0.0)
    cases = [(n, k) for n, k in zip(BATCHES, VOCABULARIES, strict=True)]
    for clips, classes in cases:
        views = _frames(clips, metadata, generator)  # (N, 1, 3, T, H, W)
        text = text_features
        if text is None:
            text = torch.randn(classes, metadata.embed_dims, generator=generator)
        expected = computer.logits(computer.features(views), text)
        given = run(
            as_input(views[:, 0].permute(0, 2, 3, 4, 1), metadata).numpy(),
            text.numpy() if metadata.text_input else None,
        )
        worst = _worst(worst, expected, *map(torch.from_numpy, given))
    return worst


def as_input(frames: Tensor, metadata: Metadata) -> Tensor:
    """RGB pixels ``(N, T, H, W, 3)``, uint8, as the file takes them."""
    if metadata.frames_dtype == 'uint8':
        return frames.contiguous()
    clips = frames.permute(0, 4, 1, 2, 3).float()
    if metadata.swap_channels:
        clips = clips.flip(1)
    mean, std = (torch.tensor(x).reshape(3, 1, 1, 1) for x in (metadata.mean, metadata.std))
    return ((clips - mean) / std).contiguous()


def require(difference: Difference, name: str) -> None:
    """Refuse a file that is too far off.

    Args:
        difference: measured by :func:`compare`.
        name: of the file that is not written.

    Raises:
        DataError: with the differences measured.
    """
    if not difference.within:
        raise DataError(
            f'{name} was not written: its logits differ from those of PyTorch by '
            f'{difference.logits:.1e} of the largest and its probabilities by '
            f'{difference.probabilities:.1e}, more than {TOLERANCE:.0e}; try another --format or '
            '--opset, or --no-check'
        )


def _frames(clips: int, metadata: Metadata, generator: torch.Generator) -> Tensor:
    """Random pixels ``(N, 1, 3, T, H, W)``, each clip and frame of another brightness."""
    size = (clips, 1, 3, metadata.num_frames, metadata.height, metadata.width)
    noise = torch.rand(size, generator=generator)
    light = torch.rand((*size[:4], 1, 1), generator=generator)
    return (255 * noise * light).round().to(torch.uint8)


def _worst(
    known: Difference, expected: Tensor, logits: Tensor, probabilities: Tensor
) -> Difference:
    if logits.shape != expected.shape:
        return Difference(float('inf'), float('inf'))
    off = (logits - expected).abs().max() / expected.abs().max()
    off_probabilities = (probabilities - expected.softmax(dim=-1)).abs().max()
    pairs = ((known.logits, off), (known.probabilities, off_probabilities))
    # torch's maximum keeps NaN, Python's may lose it
    return Difference(*(float(torch.maximum(torch.as_tensor(a), b)) for a, b in pairs))
