"""Videos and label names to scores, in three lines of Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from mmxclip.errors import ConfigError, MMXCLIPError
from mmxclip.inference.computing import Computer, device_of
from mmxclip.inference.feeding import Feeder
from mmxclip.inference.labels import check_labels
from mmxclip.inference.models import build_model, read_config
from mmxclip.inference.pipelines import Preparation
from mmxclip.inference.results import LabelScore, Predictions, VideoFailure, VideoPrediction
from mmxclip.inference.videos import Video, is_one, several
from mmxclip.models.common.features import VideoFeatures
from mmxclip.models.text.disk_cache import TextFeatureStore

MAX_VOCABULARIES = 8
MANY_TEXTS = 1000


class Vocabulary(NamedTuple):
    """Label names and their embeddings.

    Attributes:
        labels: K names.
        features: not normalized, on the device of the model, ``(K, E)``.
    """

    labels: tuple[str, ...]
    features: Tensor


class VideoClassifier:
    """Scores videos against any label names.

        classifier = VideoClassifier('xclip_b16_k400')
        classifier('dive.mp4', labels=['diving', 'swimming'])

    Stable: the arguments here and of every public method; the attributes
    ``cfg``, ``model``, ``device`` and ``classes``; for work on single clips
    :meth:`prepare`, :meth:`vocabulary`, :meth:`scores` and :meth:`features`.

    Args:
        model: name of a shipped config, path of a config, or a config.
        checkpoint: weights of any format, a file, a folder or ``https://…``. None for
            those that the authors have published of the model; a config that starts
            from a file of this package does so, with a warning.
        device: ``'auto'`` for an accelerator where there is one.
        dtype: ``'bfloat16'`` or ``'float16'``: computes so where it is safe (autocast).
        batch_size: views computed at once; found by itself when None.
        views: ``'one'``: one clip, its centre; ``'config'``: as the config tests.
        num_threads: videos decoded at a time; None for the number of cores.

    Raises:
        ConfigError: model, device or dtype are not known.
        CheckpointError: there are no weights, or they do not fit.
    """

    def __init__(
        self,
        model: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device = 'auto',
        dtype: str | None = None,
        batch_size: int | None = None,
        views: str = 'one',
        num_threads: int | None = None,
    ) -> None:
        target = device_of(device)
        self.cfg, self.name = read_config(model)
        self._prepare = Preparation(self.cfg, views)
        self._computer = Computer(
            build_model(self.cfg, self.name, checkpoint), target, dtype, batch_size
        )
        self._feeder = Feeder(self._prepare, num_threads)
        self._store = TextFeatureStore()
        self._vocabularies: dict[tuple[str, ...], Tensor] = {}

    @property
    def model(self) -> torch.nn.Module:
        """The recognizer, in evaluation mode on its device."""
        return self._computer.model

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._computer.device

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names of the config, used when no labels are given."""
        return self._computer.head.classes

    @property
    def batch_size(self) -> int:
        """Views computed at once; halved when memory has not sufficed."""
        return self._computer.batch_size

    def __call__(
        self,
        videos: Video | Iterable[Video],
        labels: Sequence[str] | None = None,
        top_k: int = 5,
        template: str | None = None,
    ) -> VideoPrediction | Predictions:
        """Classify one video or several.

        Args:
            videos: a path, an ``https://`` address, or RGB frames ``(T, H, W, 3)``,
                uint8, any number of them, as array or tensor; or several such.
            labels: at least two names; None for the classes of the config.
            top_k: labels per video, likeliest first.
            template: text of a label, ``{}`` standing for its name; None for the config's.

        Returns:
            A prediction for one video, a list of them for several.

        Raises:
            DataError: a video cannot be read; :meth:`stream` goes on instead.
            ConfigError: labels or ``top_k`` cannot be used.
        """
        results = Predictions()
        for result in self.stream(videos, labels, top_k, template):
            if isinstance(result, VideoFailure):
                raise result.error
            results.append(result)
        return results[0] if is_one(videos) else results

    def stream(
        self,
        videos: Video | Iterable[Video],
        labels: Sequence[str] | None = None,
        top_k: int = 5,
        template: str | None = None,
    ) -> Iterator[VideoPrediction | VideoFailure]:
        """Classify videos one after the other, decoding beside computing.

        Arguments are those of a call, checked at once; the videos may come
        from a generator. Results come in their order, for a video that cannot
        be read a :class:`VideoFailure`.
        """
        names, texts = self._checked(labels, template)
        if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
            raise ConfigError(f'top_k={top_k!r} must be a whole number of at least 1')
        return self._stream(several(videos), names, texts, min(top_k, len(names)))

    def encode_video(self, videos: Video | Iterable[Video]) -> Tensor:
        """Embeddings of length 1, float32 on the CPU, ``(N, E)``; ``(1, E)`` for one video.

        Their product with :meth:`encode_text` is the cosine. The prompts by which
        X-CLIP moves label texts towards the video are not in it.

        Raises:
            DataError: a video cannot be read.
        """
        rows = []
        for _, outcomes in self._batches(self._feeder(several(videos), 2 * self.batch_size)):
            for outcome in outcomes:
                if isinstance(outcome, MMXCLIPError):
                    raise outcome
            rows.append(self._computer.embeddings(torch.stack(outcomes)))
        if not rows:
            return torch.empty(0, self._computer.head.embed_dims)
        return torch.cat(rows)

    def encode_text(self, texts: Sequence[str], template: str = '{}') -> Tensor:
        """Embeddings of length 1, float32 on the CPU, ``(K, E)``."""
        rows = [texts] if isinstance(texts, str) else list(texts)
        features = self._text_features(tuple(template.replace('{}', text) for text in rows))
        return F.normalize(features.float(), dim=-1).cpu()

    def prepare(self, video: Video, name: str = '<frames>') -> Tensor:
        """Pixels of a clip or of M views, 0 to 255, ``(M, C, T, H, W)``.

        Raises:
            DataError: it cannot be read.
        """
        outcome = self._feeder.outcome(video, name)
        if isinstance(outcome, MMXCLIPError):
            raise outcome
        return outcome

    def vocabulary(
        self, labels: Sequence[str] | None = None, template: str | None = None
    ) -> Vocabulary:
        """Embeddings of labels, from memory or disk when they were asked for before."""
        names, texts = self._checked(labels, template)
        return Vocabulary(names, self._text_features(texts))

    def features(self, views: Tensor) -> VideoFeatures:
        """Input of the head for views ``(R, 1, C, T, H, W)`` as :meth:`prepare` gives them."""
        return self._computer.features(views)

    def scores(self, clips: Tensor, vocabulary: Vocabulary) -> Tensor:
        """Probabilities ``(N, K)``, on the CPU, for clips ``(N, M, C, T, H, W)``."""
        return self._computer.probabilities(clips, vocabulary.features)

    def close(self) -> None:
        """End the decoder processes; a later call starts new ones."""
        self._feeder.close()

    def _checked(
        self, labels: Sequence[str] | None, template: str | None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names and texts of labels."""
        head = self._computer.head
        if labels is None:
            if head.classes is None:
                raise ConfigError('the config has no classes of its own; give labels')
            names = head.classes
        else:
            names = check_labels(labels)
        template = head.template if template is None else template
        if template.count('{}') != 1:
            raise ConfigError(
                f"template={template!r} must hold '{{}}' once, where the class name goes"
            )
        texts = tuple(template.replace('{}', name) for name in names)
        if texts not in self._vocabularies and not self._kept(texts):
            head.text_encoder.tokenize(texts)  # says which of them is too long
        return names, texts

    def _kept(self, texts: tuple[str, ...]) -> bool:
        """Whether many texts are on disk; to read a few again takes less time than to look."""
        if len(texts) < MANY_TEXTS:
            return False
        features = self._store.find(self._computer.head.text_encoder, texts)
        if features is not None:
            self._keep(texts, features)
        return features is not None

    def _text_features(self, texts: tuple[str, ...]) -> Tensor:
        if texts not in self._vocabularies:
            self._keep(texts, self._store.get(self._computer.head.text_encoder, texts))
        return self._vocabularies[texts]

    def _keep(self, texts: tuple[str, ...], features: Tensor) -> None:
        if len(self._vocabularies) >= MAX_VOCABULARIES:
            self._vocabularies.pop(next(iter(self._vocabularies)))
        self._vocabularies[texts] = features

    def _stream(
        self,
        videos: Iterable[Video],
        names: tuple[str, ...],
        texts: tuple[str, ...],
        top_k: int,
    ) -> Iterator[VideoPrediction | VideoFailure]:
        fed = self._feeder(videos, 2 * self.batch_size)
        text = self._text_features(texts)  # while the first videos are decoded
        for titles, outcomes in self._batches(fed):
            good = [item for item in outcomes if isinstance(item, Tensor)]
            rows = iter(self._computer.probabilities(torch.stack(good), text)) if good else iter(())
            for title, outcome in zip(titles, outcomes, strict=True):
                if isinstance(outcome, MMXCLIPError):
                    yield VideoFailure(title, outcome)
                else:
                    yield VideoPrediction(title, _best(next(rows), names, top_k))

    def _batches(
        self, fed: Iterator[tuple[str, Tensor | MMXCLIPError]]
    ) -> Iterator[tuple[list[str], list[Any]]]:
        """Names of videos, and their pixels of one shape or what is wrong with them."""
        titles: list[str] = []
        outcomes: list[Tensor | MMXCLIPError] = []
        views, shape = 0, None
        for title, outcome in fed:
            if isinstance(outcome, Tensor) and shape not in (None, outcome.shape):
                yield titles, outcomes
                titles, outcomes, views = [], [], 0
            titles.append(title)
            outcomes.append(outcome)
            if isinstance(outcome, Tensor):
                shape = outcome.shape
                views += len(outcome)
            if views >= self.batch_size:
                yield titles, outcomes
                titles, outcomes, views = [], [], 0
        if titles:
            yield titles, outcomes


def _best(row: Tensor, names: tuple[str, ...], top_k: int) -> list[LabelScore]:
    scores, indices = row.topk(top_k)
    return [
        LabelScore(names[index], score)
        for index, score in zip(indices.tolist(), scores.tolist(), strict=True)
    ]
