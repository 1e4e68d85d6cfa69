"""What an exported file says of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import nn

from mmxclip.errors import DataError

KEY = 'mmxclip'
"""Under which the text stands in the metadata of ONNX."""
EXTRA_FILE = 'mmxclip.json'
"""In which it stands within the archives of PyTorch."""
LAYOUTS = {'uint8': 'NTHWC', 'float32': 'NCTHW'}
"""Order of the dimensions of frames by their dtype."""


@dataclass(frozen=True)
class Metadata:
    """All that is needed to run a file and to read its scores; plain data.

    Args:
        version: of the package that has written it.
        config: name or path of the config.
        weights: SHA-256 of all tensors of the model, names and shapes included.
        classes: names in the order of the scores; None where text is an input.
        embed_dims: joint width E.
        frames_dtype: ``'uint8'``: pixels ``(N, T, H, W, 3)``; ``'float32'``:
            normalized ``(N, 3, T, H, W)``.
        num_frames: T.
        height: H.
        width: W.
        mean: of the channels, RGB, pixels 0 to 255.
        std: likewise.
        swap_channels: whether the model takes BGR.
        template: text of a class, ``{}`` standing for its name.
        pipeline: steps from a video file to frames; None when they are not plain.
    """

    version: str
    config: str
    weights: str
    classes: tuple[str, ...] | None
    embed_dims: int
    frames_dtype: str
    num_frames: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    swap_channels: bool = False
    template: str = '{}'
    pipeline: tuple[Mapping[str, Any], ...] | None = None

    @property
    def text_input(self) -> bool:
        """Whether embeddings of the classes are given with each call."""
        return self.classes is None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one clip, as :attr:`frames_dtype` has it."""
        size = (self.num_frames, self.height, self.width)
        return (*size, 3) if self.frames_dtype == 'uint8' else (3, *size)

    def to_json(self) -> str:
        """As text, in ASCII: not every reader of metadata knows more."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None, origin: str) -> Metadata:
        """Read what :meth:`to_json` has written.

        Args:
            text: None where a file has none.
            origin: the file, named in errors.

        Raises:
            DataError: it was not written by this package, or is damaged.
        """
        if text is None:
            raise DataError(
                f'{origin} was not written by mmxclip export: it does not say what its inputs '
                'and classes are'
            )
        try:
            values = json.loads(text)
            known = {field.name for field in fields(cls)}
            values = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in values.items()
                if key in known
            }
            metadata = cls(**values)
            metadata._check()
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f'{origin} has metadata that cannot be read ({error}); export it again'
            ) from error
        return metadata

    def _check(self) -> None:
        """Refuse values that no export writes, for whoever has written this file."""
        numbers = (self.num_frames, self.height, self.width, self.embed_dims)
        if any(type(number) is not int or not 0 < number < 1 << 16 for number in numbers):
            raise ValueError(f'sizes {numbers}')
        if self.frames_dtype not in LAYOUTS:
            raise ValueError(f'frames_dtype {self.frames_dtype!r}')
        channels = (*self.mean, *self.std)
        if len(channels) != 6 or not all(isinstance(value, (int, float)) for value in channels):
            raise ValueError(f'mean and std {channels}')
        if not all(isinstance(name, str) for name in self.classes or ()):
            raise ValueError('class names that are no text')


def weights_hash(model: nn.Module) -> str:
    """SHA-256 of a model's tensors, their names, dtypes and shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        content = value.detach().cpu().reshape(-1).contiguous().view(torch.uint8)
        digest.update(content.numpy())
    return digest.hexdigest()
