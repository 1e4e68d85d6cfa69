"""Checks of the machine and of what is installed on it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from mmxclip.doctor.finding import OK, PROBLEM, WARNING, Finding
from mmxclip.errors import DataError

REQUIRED = ('torch', 'mmengine', 'mmaction2', 'open_clip_torch', 'decord')
SHARED_MEMORY = Path('/dev/shm')
GIB = 2**30


def check_machine() -> Iterator[Finding]:
    """All checks that need no config."""
    yield check_versions()
    yield check_mmcv_once()
    yield check_decoder()
    yield check_other_decoders()
    yield check_accelerator()
    yield check_shared_memory()


def version_of(package: str) -> str | None:
    """Installed version; None when it is absent."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_versions() -> Finding:
    """Versions of what the package stands on.

    Wrong ones of MMCV are told by the import of the package itself.
    """
    found = {name: version_of(name) for name in REQUIRED}
    text = ', '.join(f'{name} {version or "absent"}' for name, version in found.items())
    text = f'Python {platform.python_version()}, {text}'
    absent = [name for name, version in found.items() if version is None]
    if absent:
        return Finding('versions', PROBLEM, text, f'pip install {" ".join(absent)}')
    if not (found['mmaction2'] or '').startswith('1.2.'):
        return Finding('versions', PROBLEM, text, 'pip install "mmaction2==1.2.*"')
    return Finding('versions', OK, text)


def check_mmcv_once() -> Finding:
    """``mmcv`` and ``mmcv-lite`` write the same files: having both breaks one of them."""
    found = {name: version for name in ('mmcv', 'mmcv-lite') if (version := version_of(name))}
    text = ', '.join(f'{name} {version}' for name, version in found.items()) or 'mmcv by hand'
    if len(found) == 2:
        return Finding(
            'mmcv',
            WARNING,
            f'{text} are both installed and overwrite each other',
            'pip uninstall -y mmcv mmcv-lite && pip install "mmxclip[all]"',
        )
    return Finding('mmcv', OK, text)


def check_decoder() -> Finding:
    """Decode a video in the process that runs do it in; one is written if PyAV is there."""
    from mmxclip.datasets.motion.writing import write_video
    from mmxclip.datasets.video_readers import IsolatedReader

    if find_spec('av') is None:
        return Finding('decord', OK, 'installed; no video to try it on, as PyAV is absent')
    frames = np.zeros((4, 64, 64, 3), np.uint8)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'video.mp4'
            write_video(path, frames, fps=4)
            reader = IsolatedReader(str(path), 60.0, 1, 10)
            decoded = reader.decode([0, 3])
    except (DataError, OSError) as error:
        return Finding(
            'decord', PROBLEM, f'a video of H.264 was not decoded: {error}', 'pip install decord'
        )
    return Finding(
        'decord', OK, f'decodes H.264 ({len(decoded)} frames of {decoded.shape[1]} x 64)'
    )


def check_other_decoders() -> Finding:
    """Decoders that some parts use beside decord."""
    there = [name for name in ('av', 'torchcodec', 'imageio_ffmpeg') if find_spec(name)]
    if shutil.which('ffmpeg'):
        there.append('ffmpeg')
    text = f'beside decord: {", ".join(there) or "none"}'
    if 'av' not in there:
        return Finding(
            'decoders',
            WARNING,
            f'{text}; PyAV writes the videos of MotionDataset and reads what decord does not',
            'pip install "mmxclip[all]"',
        )
    return Finding('decoders', OK, text)


def check_accelerator() -> Finding:
    """The GPU, or that there is none."""
    if not torch.cuda.is_available():
        return Finding(
            'accelerator',
            WARNING,
            f'none; {os.cpu_count()} CPU cores train the tiny models and test single videos',
            'for the published sizes, a machine with a GPU and a build of torch for it',
        )
    devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    text = ', '.join(f'{device.name} ({device.total_memory / GIB:.0f} GiB)' for device in devices)
    half = 'bfloat16 and float16' if torch.cuda.is_bf16_supported() else 'float16'
    return Finding('accelerator', OK, f'{text}; {half}')


def check_shared_memory() -> Finding:
    """Loader workers hand batches over through it; containers often have 64 MiB."""
    if not SHARED_MEMORY.is_dir():
        return Finding('shared memory', OK, f'{SHARED_MEMORY} is not used on this system')
    total = shutil.disk_usage(SHARED_MEMORY).total / GIB
    if total < 1:
        return Finding(
            'shared memory',
            WARNING,
            f'{SHARED_MEMORY} has {total:.2f} GiB; workers end in "bus error" when it is full',
            'docker run --shm-size 8g, or num_workers=0 of the loaders',
        )
    return Finding('shared memory', OK, f'{SHARED_MEMORY} has {total:.1f} GiB')
