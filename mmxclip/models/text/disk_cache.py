"""Text features kept on disk, so that the next process need not compute them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmxclip.models.text.text_features import weights_key

if TYPE_CHECKING:
    from mmxclip.models.text.clip_text_encoder import CLIPTextEncoder

VARIABLE = 'MMXCLIP_CACHE'
LAYOUT = 1
"""Counts up when files of another version must not be read."""
MAX_BYTES = 512 << 20
SUFFIX = '.safetensors'


def cache_folder() -> Path:
    """``$MMXCLIP_CACHE``, else ``~/.cache/mmxclip``."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / '.cache' / 'mmxclip'


class TextFeatureStore:
    """A folder of text features, by what they were computed from.

    The name of a file is a digest of the tower's weights, its activation, the
    texts in their order and the type of the numbers. Files are written whole; one that is damaged
    is computed and written anew. When the folder grows beyond its bound, the
    files not used for longest are deleted. A folder that cannot be written to
    costs time and nothing else.

    Args:
        folder: None for ``text`` in :func:`cache_folder`.
        max_bytes: the bound.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder or cache_folder() / 'text'
        self.max_bytes = max_bytes
        self._weights: tuple[object, str] | None = None

    def get(self, encoder: CLIPTextEncoder, texts: tuple[str, ...]) -> Tensor:
        """Features ``(K, E)`` of ``texts``, not normalized, on the encoder's device."""
        features = self.find(encoder, texts)
        if features is None:
            with torch.no_grad():
                features = encoder.encode(texts)
            self._write(self._path(encoder, texts), features.cpu())
        return features

    def find(self, encoder: CLIPTextEncoder, texts: tuple[str, ...]) -> Tensor | None:
        """The same where they are kept already, without reading the texts; else None."""
        anchor = encoder.tower.text_projection
        shape = len(texts), encoder.output_dims
        features = _read(self._path(encoder, texts), shape, anchor.dtype)
        return None if features is None else features.to(anchor.device)

    def _path(self, encoder: CLIPTextEncoder, texts: tuple[str, ...]) -> Path:
        return self.folder / f'{self._digest(encoder, texts)}{SUFFIX}'

    def _digest(self, encoder: CLIPTextEncoder, texts: tuple[str, ...]) -> str:
        key = weights_key(encoder)
        if self._weights is None or key is None or self._weights[0] != key:
            self._weights = key, digest_of(encoder)
        facts = [LAYOUT, self._weights[1], list(texts)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _write(self, path: Path, features: Tensor) -> None:
        from safetensors.torch import save

        data = save({'features': features.contiguous()}, {'digest': _sum_of(features)})
        partial = path.with_name(f'.{path.stem}.{os.getpid()}.{threading.get_native_id()}.partial')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            os.replace(partial, path)
            self._drop_oldest()
        except OSError as error:
            print_log(
                f'text features could not be kept in {self.folder} ({error.strerror}); '
                f'{VARIABLE} names another folder',
                logger='current',
                level=logging.WARNING,
            )
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _drop_oldest(self) -> None:
        files = []
        for path in self.folder.glob(f'*{SUFFIX}'):
            with contextlib.suppress(FileNotFoundError):  # another process drops files too
                facts = path.stat()
                files.append((facts.st_mtime_ns, facts.st_size, path))
        kept = 0
        for _, size, path in sorted(files, reverse=True):
            kept += size
            if kept > self.max_bytes:
                path.unlink(missing_ok=True)


def digest_of(encoder: CLIPTextEncoder) -> str:
    """Digest of all that the features of a text depend on, the text left out."""
    digest = hashlib.sha256(f'{encoder.act} {encoder.context_length}'.encode())
    for name, value in encoder.tower.state_dict().items():
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(_bytes_of(value))
    return digest.hexdigest()


def _read(path: Path, shape: tuple[int, int], dtype: torch.dtype) -> Tensor | None:
    """Features of a file, unless it is absent or not what was written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, 'pt') as file:
            features = file.get_tensor('features')
            stated = (file.metadata() or {}).get('digest')
        if features.shape != shape or features.dtype != dtype or stated != _sum_of(features):
            return None
        os.utime(path)  # the time of its last use
    except (OSError, SafetensorError):
        return None
    return features


def _sum_of(features: Tensor) -> str:
    return hashlib.sha256(_bytes_of(features)).hexdigest()


def _bytes_of(value: Tensor) -> Any:
    """A view of the numbers of a tensor, for a digest."""
    flat = value.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy()
