"""A config's own test pipeline, fed with files of any kind or with frames."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from mmxclip.errors import ConfigError, DataError
from mmxclip.inference.other_decoder import DecodeByPyAV, OpenByPyAV, advice, may_help
from mmxclip.inference.videos import Video, file_sample, frames_sample

VIEWS = ('one', 'config')
ROBUST_INIT, ROBUST_DECODE = 'RobustDecordInit', 'RobustDecordDecode'
CROPS = ('ThreeCrop', 'TenCrop')


def own_steps(cfg: Config, views: str = 'one') -> list[dict[str, Any]]:
    """Transforms that the config validates or tests with.

    Args:
        cfg: a whole config, or one that names its pipeline at the top.
        views: ``'one'`` takes the validation pipeline where there is one, and one
            clip and the central crop of it; ``'config'`` the test pipeline as it is.

    Raises:
        ConfigError: there is no pipeline in the config.
    """
    if views not in VIEWS:
        raise ConfigError(f'views={views!r} is not known; expected one of {VIEWS}')
    names = ('val', 'test') if views == 'one' else ('test', 'val')
    for name in names:
        steps = _of_loader(cfg.get(f'{name}_dataloader')) or cfg.get(f'{name}_pipeline')
        if steps:
            plain = [dict(step) for step in steps]
            return _single(plain) if views == 'one' else plain
    raise ConfigError(
        'the config has no pipeline for validation or testing; it needs '
        'val_dataloader.dataset.pipeline or test_dataloader.dataset.pipeline'
    )


def for_files(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps with a decoder in a process of its own, which raises for a bad video."""
    out = []
    for step in steps:
        name = _name(step)
        if name == ROBUST_INIT:
            out.append({**step, 'isolate': True, 'on_error': 'raise'})
        elif 'Init' in name:
            out.append({'type': ROBUST_INIT})
        elif 'Decode' in name:
            out.append({'type': ROBUST_DECODE})
        else:
            out.append(step)
    return out


def for_frames(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps without opening, and with frames of an array in the place of decoded ones."""
    return [
        {'type': 'ArrayDecode'} if 'Decode' in _name(step) else step
        for step in steps
        if 'Init' not in _name(step)
    ]


def for_other_files(steps: list[dict[str, Any]]) -> list[Any]:
    """The steps with PyAV in the place of the decoder."""
    out: list[Any] = []
    for step in steps:
        name = _name(step)
        if 'Init' in name:
            out.append(OpenByPyAV())
        else:
            out.append(DecodeByPyAV() if 'Decode' in name else step)
    return out


class Preparation:
    """Turns a video into what the model takes. May be called by several threads at once.

    Args:
        cfg: config of the model.
        views: see :func:`own_steps`.
    """

    def __init__(self, cfg: Config, views: str = 'one') -> None:
        from mmengine.dataset import Compose

        self.steps = own_steps(cfg, views)
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmaction'):
            self._files = Compose(for_files(self.steps))
            self._others = Compose(for_other_files(self.steps))
            self._frames = Compose(for_frames(self.steps))

    def __call__(self, video: Video, name: str) -> Tensor:
        """Pixels of a video, 0 to 255, ``(M, C, T, H, W)`` with M views.

        Args:
            video: a local file, or frames ``(T, H, W, 3)``, RGB uint8.
            name: for errors about frames.

        Raises:
            DataError: it cannot be read; the message names it.
        """
        if not isinstance(video, (str, os.PathLike)):
            return self._frames(frames_sample(video, name))['inputs']
        path = os.fspath(video)
        try:
            return self._files(file_sample(path))['inputs']
        except DataError as error:
            if may_help(error):
                return self._others(file_sample(path))['inputs']
            raise _without_remedy(error) from error


def _of_loader(loader: Mapping[str, Any] | None) -> list[Mapping[str, Any]] | None:
    """The pipeline of a loader's data set, which may be wrapped in another."""
    dataset = (loader or {}).get('dataset')
    while isinstance(dataset, Mapping):
        if dataset.get('pipeline'):
            return dataset['pipeline']
        dataset = dataset.get('dataset')
    return None


def _single(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps with one clip and one crop. Clips of 2D recognizers are the frames of one."""
    flat = any(step.get('input_format') == 'NCHW' for step in steps)
    out = []
    for step in steps:
        if _name(step) in CROPS:
            step = {'type': 'CenterCrop', 'crop_size': step['crop_size']}
        elif 'SampleFrames' in _name(step) and not flat:
            step = {**step, 'num_clips': 1}
        out.append(step)
    return out


def _name(step: Mapping[str, Any]) -> str:
    """Bare name of a transform, whatever scope precedes it."""
    kind = step['type']
    return kind.rsplit('.', 1)[-1] if isinstance(kind, str) else kind.__name__


def _without_remedy(error: DataError) -> DataError:
    """The error without advice on annotation files, of which there are none here."""
    if isinstance(error.__cause__, DataError):  # on_error='raise' adds advice for trainings
        error = error.__cause__
    reason, separator, remedy = str(error).rpartition('; ')
    if separator and 'annotation file' in remedy:
        return DataError(f'{reason}; re-encode it, or leave it out{advice(error)}')
    return error
