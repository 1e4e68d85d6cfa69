"""Exported files of all formats, read back: frames or videos to scores by name."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmxclip.errors import ConfigError, DataError
from mmxclip.export import exported, onnx, torchscript
from mmxclip.export.check import as_input
from mmxclip.export.metadata import EXTRA_FILE, Metadata
from mmxclip.export.pipeline import preparation
from mmxclip.export.runner import Runner
from mmxclip.inference.pipelines import Preparation
from mmxclip.inference.videos import Video, name_of

PROGRAMS = {'torchscript': torchscript.read, 'exported': exported.read}


class ExportedModel:
    """A file that ``mmxclip export`` has written.

        model = ExportedModel.load('xclip_b16_k400.onnx')
        model(model.prepare('dive.mp4'))       # {'abseiling': 0.0001, …}

    Stable: the arguments here and of every public method, ``classes``, ``metadata``.

    Args:
        run: computes it.
        metadata: what the file says of itself.
        origin: the file, for errors.
    """

    def __init__(self, run: Runner, metadata: Metadata, origin: str) -> None:
        self.metadata = metadata
        self.origin = origin
        self.run = run
        self._preparation: Preparation | None = None

    @classmethod
    def load(
        cls, path: str | Path, trust: bool = False, providers: Sequence[str] | None = None
    ) -> ExportedModel:
        """Read a file of any of the formats, told apart by content.

        Args:
            path: of the file.
            trust: needed for TorchScript and torch.export: such files are programs,
                which can read and write files of yours. ONNX is data.
            providers: of ONNX Runtime; None for all that this machine has.

        Raises:
            DataError: the file is absent, damaged or of another origin.
            ConfigError: a program without ``trust``; onnxruntime is not installed.
        """
        file = _existing(path)
        kind = format_of(file)
        if kind == 'onnx':
            text, run = onnx.read(file, providers)
            return cls(run, Metadata.from_json(text, str(path)), str(path))
        metadata = Metadata.from_json(_extra_file(file), str(path))
        if not trust:
            raise ConfigError(
                f'{path} is a program ({kind}) and would be run; if it comes from where you trust, '
                'load it with trust=True, otherwise ask for ONNX, which is data'
            )
        return cls(load_program(file, kind), metadata, str(path))

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names in the order of the scores; None where text is an input."""
        return self.metadata.classes

    def __call__(
        self,
        frames: np.ndarray | Tensor,
        text_features: np.ndarray | Tensor | None = None,
        labels: Sequence[str] | None = None,
    ) -> dict[str, float] | list[dict[str, float]]:
        """Probabilities by class name.

        Args:
            frames: RGB pixels of a clip ``(T, H, W, 3)`` or several ``(N, T, H, W, 3)``,
                uint8, of the size that the file has; :meth:`prepare` makes them.
            text_features: see :meth:`scores`.
            labels: names of the text features; None for their numbers.

        Returns:
            Scores of the one clip, or a list of them.

        Raises:
            DataError: the frames do not fit.
            ConfigError: text features or labels do not fit.
        """
        probabilities = self.scores(frames, text_features)[1]
        names = self._names(labels, probabilities.shape[1])
        rows = [dict(zip(names, row, strict=True)) for row in probabilities.tolist()]
        return rows if frames.ndim == 5 else rows[0]

    def scores(
        self, frames: np.ndarray | Tensor, text_features: np.ndarray | Tensor | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits and probabilities, each ``(N, K)``, float32.

        Args:
            frames: as in a call.
            text_features: embeddings ``(K, E)``, not normalized, where text is an input:
                ``VideoClassifier.vocabulary(labels).features``.

        Raises:
            DataError: the frames do not fit.
            ConfigError: the text features do not fit.
        """
        clips = as_input(self._frames(frames), self.metadata).numpy()
        return self.run(clips, self._text(text_features))

    def prepare(self, video: Video) -> np.ndarray:
        """Frames of a video, sampled, resized and cropped as the model's config does.

        Args:
            video: a file, or RGB frames ``(T', H', W', 3)``, uint8, of any number and size.

        Returns:
            ``(T, H, W, 3)``, uint8.

        Raises:
            DataError: it cannot be read, or the file does not say how to prepare it.
        """
        views = self.preparation(video, name_of(video, 0))  # (1, 3, T, H, W)
        return views[0].permute(1, 2, 3, 0).contiguous().numpy()

    @property
    def preparation(self) -> Preparation:
        """What :meth:`prepare` calls.

        Raises:
            DataError: the file does not say how to prepare videos.
        """
        if self.metadata.pipeline is None:
            raise DataError(
                f'{self.origin} does not say how frames are made of videos, since the pipeline of '
                'its config has steps of its own; give frames'
            )
        if self._preparation is None:
            self._preparation = preparation(self.metadata.pipeline, self.origin)
        return self._preparation

    def _frames(self, frames: np.ndarray | Tensor) -> Tensor:
        """Checked frames ``(N, T, H, W, 3)``."""
        meta = self.metadata
        size = (meta.num_frames, meta.height, meta.width, 3)
        clips = torch.as_tensor(frames)
        fits = clips.ndim in (4, 5) and tuple(clips.shape[-4:]) == size
        if clips.dtype != torch.uint8 or not fits:
            raise DataError(
                f'frames of shape {tuple(clips.shape)} and {clips.dtype} do not fit {self.origin}; '
                f'expected uint8 {size}, or several such: prepare(video) makes them'
            )
        if clips.ndim == 5 and not len(clips):
            raise DataError(f'no clips were given to {self.origin}; give at least one')
        return clips.reshape(-1, *size).cpu()

    def _text(self, text_features: np.ndarray | Tensor | None) -> np.ndarray | None:
        """Checked embeddings ``(K, E)``."""
        if not self.metadata.text_input:
            if text_features is not None:
                raise ConfigError(
                    f'{self.origin} has its classes within and takes no text_features; export it '
                    'with --text-input for that'
                )
            return None
        expected = f'(K, {self.metadata.embed_dims})'
        if text_features is None:
            raise ConfigError(
                f'{self.origin} takes the embeddings of class names as an input; give '
                f'text_features {expected}'
            )
        text = torch.as_tensor(text_features).detach().cpu()
        if text.ndim != 2 or text.shape[1] != self.metadata.embed_dims or not len(text):
            raise ConfigError(
                f'text_features of shape {tuple(text.shape)} do not fit {self.origin}; expected '
                f'{expected}'
            )
        return text.float().contiguous().numpy()

    def _names(self, labels: Sequence[str] | None, count: int) -> tuple[str, ...]:
        """Names of the scores."""
        if self.classes is not None:
            if labels is not None:
                raise ConfigError(
                    f'{self.origin} has its classes within and takes no labels; export it with '
                    '--text-input for that'
                )
            return self.classes
        names = tuple(map(str, range(count))) if labels is None else tuple(labels)
        if len(names) != count or len(set(names)) != count:
            raise ConfigError(
                f'{len(set(names))} labels for {count} rows of text_features; give a name of its '
                'own to each'
            )
        return names


def format_of(path: Path) -> str:
    """``'onnx'``, ``'torchscript'`` or ``'exported'``, by content.

    Raises:
        DataError: a zip of another kind.
    """
    if not zipfile.is_zipfile(path):
        return 'onnx'
    with _opened(path) as archive:
        names = {name.partition('/')[2] for name in archive.namelist()}
    if 'archive_format' in names:
        return 'exported'
    if 'constants.pkl' in names:
        return 'torchscript'
    raise DataError(
        f'{path} is a zip file without a model; expected ONNX, TorchScript or torch.export'
    )


def load_program(path: Path, kind: str) -> Runner:
    """Load a TorchScript or torch.export file, which is run from then on."""
    try:
        return PROGRAMS[kind](path)
    except Exception as error:  # a damaged archive can raise nearly anything
        reason = ' '.join(str(error).split())[:160]
        raise DataError(
            f'{path} cannot be loaded ({type(error).__name__}: {reason}); it is damaged or of '
            'another PyTorch: export it again'
        ) from error


def _existing(path: str | Path) -> Path:
    file = Path(path).expanduser()
    try:
        with file.open('rb') as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise DataError(f'{path} cannot be read ({error.strerror}); check the path') from error
    if empty:
        raise DataError(f'{path} is empty; export it again')
    return file


def _extra_file(path: Path) -> str | None:
    """The metadata of an archive, read without running anything of it."""
    with _opened(path) as archive:
        for name in archive.namelist():
            if name.partition('/')[2] == f'extra/{EXTRA_FILE}':
                return archive.read(name).decode()
    return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, whose damage is told in one line."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError, NotImplementedError) as error:
        raise DataError(f'{path} is damaged ({error}); export it again') from error
