"""MMEngine's ways to a checkpoint, with :mod:`mmxclip.checkpoints.safe_load` at their end.

They are put in place by :mod:`mmxclip.compat` and named as MMEngine names its
own, since it logs a part of the name.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import torch
from mmengine.fileio import get_file_backend

from mmxclip.checkpoints.files import weights_file
from mmxclip.checkpoints.safe_load import MapLocation, load_file, load_stream
from mmxclip.errors import CheckpointError


def load_from_local(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Read a local file, or the weights in a folder as Hugging Face lays it out."""
    return without_program(load_file(weights_file(filename), map_location))


def load_from_ceph(
    filename: str, map_location: MapLocation = None, backend: str = 'petrel'
) -> dict[str, Any]:
    """Read an object of a ``s3://`` or ``petrel://`` store."""
    file_backend = get_file_backend(filename, backend_args={'backend': backend})
    with io.BytesIO(file_backend.get(filename)) as buffer:
        return without_program(load_stream(buffer, filename, map_location))


def load_url(
    url: str,
    model_dir: str | None = None,
    map_location: MapLocation = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
) -> dict[str, Any]:
    """Download a file once and read it; for ``torch.hub.load_state_dict_from_url``.

    Args:
        url: where the file is.
        model_dir: folder to keep it in; None for ``checkpoints`` in torch's hub folder.
        map_location: as ``torch.load`` takes it.
        progress: whether to draw a progress bar.
        check_hash: whether the name ends in the first digits of its SHA-256.
        file_name: name to keep it by; None for the last part of ``url``.

    Raises:
        CheckpointError: it cannot be downloaded, or :func:`load_file` refuses it.
    """
    folder = Path(model_dir or os.path.join(torch.hub.get_dir(), 'checkpoints'))
    try:
        name = os.path.basename(file_name or unquote(urlparse(url).path))
    except ValueError:  # a malformed host
        name = ''
    if name in ('', '.', '..'):
        raise CheckpointError(f'{url} names no file; give the whole address of a checkpoint')
    target = folder / name
    if not target.exists():
        _download(url, target, progress, check_hash)
    return without_program(load_file(target, map_location))


def _download(url: str, target: Path, progress: bool, check_hash: bool) -> None:
    """Download beside ``target`` and move in place, as torch does."""
    match = torch.hub.HASH_REGEX.search(target.name) if check_hash else None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            url, str(target), match.group(1) if match else None, progress=progress
        )
    except (OSError, RuntimeError, ValueError) as error:  # network and disk; hash; malformed URL
        raise CheckpointError(
            f'{url} could not be downloaded to {target} ({error}); '
            'fetch it on a machine with access and give the path of the file'
        ) from error


def without_program(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Drop ``meta['config']``, which MMEngine runs as Python when it resumes.

    It holds the config's text in files of old versions, which ask it for the
    number of GPUs alone; those of today call it ``cfg``, which nobody runs.
    """
    meta = checkpoint.get('meta')
    if isinstance(meta, dict):
        meta.pop('config', None)
    return checkpoint
