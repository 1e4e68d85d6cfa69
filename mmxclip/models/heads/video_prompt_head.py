"""Classification against class names, with prompts that the video generates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models.heads import BaseHead
from mmaction.registry import MODELS as HOST_MODELS
from mmaction.utils import SampleList
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mmxclip.errors import ConfigError
from mmxclip.labels.class_names import check_class_names, load_class_names
from mmxclip.models.common.features import VideoFeatures, to_video_features
from mmxclip.models.common.precision import without_autocast
from mmxclip.models.heads.video_specific_prompt import VideoSpecificPrompt
from mmxclip.models.text.text_features import TextFeatureCache
from mmxclip.registry import MODELS

INITIAL_LOGIT_SCALE = math.log(1 / 0.07)
AVERAGE_CLIPS = ('prob', 'score', None)


@MODELS.register_module()
class VideoPromptHead(BaseHead):
    """Cosine logits between videos and prompted class names (section 3.3, eqs. 1 and 9-10).

        logits[n, k] = exp(logit_scale) * cos(v_n, c_k + prompt_nk)

    Class texts enter the prompts as they leave the text tower; both sides are
    normalized afterwards. Losses for hard, smoothed and mixed labels and the
    averaging of views are :class:`BaseHead`'s.

    Args:
        classes: class names, in the order of the labels: a sequence, the name
            of a shipped list or a file. None when :meth:`set_classes` follows.
        text_encoder: config of a text encoder.
        num_classes: checked against ``classes`` when given.
        in_channels: width of the video embeddings; None for the text
            encoder's. A linear layer is added when the two differ.
        patch_channels: width D of the patch features; None for ``in_channels``.
        prompt: arguments of :class:`VideoSpecificPrompt`, or None for none.
        template: the text of a class, ``{}`` standing for its name. The paper
            uses the bare name.
        train_logit_scale: whether the temperature is learned. It is frozen in
            the published recipe, where text is.
        average_clips: ``'prob'`` averages the views' probabilities, ``'score'``
            their logits.
        label_order: ``'mmaction2'`` or ``'xclip'``, for ``classes='hmdb51'``,
            whose labels are counted in two orders.
        kwargs: ``loss_cls``, ``label_smooth_eps``, ``topk``, ``init_cfg`` of
            MMAction2's ``BaseHead``.

    Raises:
        ConfigError: for names that are empty, doubled, too long for the text
            tower, or not ``num_classes`` many.
    """

    def __init__(
        self,
        text_encoder: dict,
        classes: str | Sequence[str] | None = None,
        num_classes: int | None = None,
        in_channels: int | None = None,
        patch_channels: int | None = None,
        prompt: dict | None = dict(num_layers=2, alpha=0.1),  # noqa: B006  (only read)
        template: str = '{}',
        train_logit_scale: bool = False,
        average_clips: str | None = 'prob',
        label_order: str | None = None,
        **kwargs: Any,
    ) -> None:
        encoder = HOST_MODELS.build(dict(text_encoder))
        embed_dims = encoder.output_dims
        if average_clips not in AVERAGE_CLIPS:
            raise ConfigError(
                f'average_clips={average_clips!r} is not known; expected one of {AVERAGE_CLIPS}'
            )
        in_channels = in_channels or embed_dims
        names = None if classes is None else load_class_names(classes, label_order)
        super().__init__(
            num_classes if names is None else len(names),
            in_channels,
            average_clips=average_clips,
            **kwargs,
        )
        if template.count('{}') != 1:
            raise ConfigError(
                f"template={template!r} must hold '{{}}' once, where the class name goes"
            )
        self.template = template
        self.embed_dims = embed_dims
        self.text_encoder = encoder
        self.video_proj = (
            nn.Identity() if in_channels == embed_dims else nn.Linear(in_channels, embed_dims)
        )
        self.prompt = (
            None
            if prompt is None
            else VideoSpecificPrompt(patch_channels or in_channels, embed_dims, **prompt)
        )
        self.logit_scale = nn.Parameter(
            torch.tensor(INITIAL_LOGIT_SCALE), requires_grad=train_logit_scale
        )
        self._text_cache = TextFeatureCache()
        self.classes: tuple[str, ...] | None = None
        if names is not None:
            if num_classes is not None and num_classes != len(names):
                raise ConfigError(
                    f'num_classes={num_classes}, but classes={classes!r:.60} holds {len(names)} '
                    'names; give one name per class, in the order of the labels'
                )
            self.set_classes(names)

    def new_parameter_names(self) -> list[str]:
        """The projection to the joint width; the prompts report their own."""
        return [name for name, _ in self.named_parameters() if name.startswith('video_proj.')]

    def set_classes(self, classes: Sequence[str]) -> None:
        """Replace the vocabulary; weights stay as they are.

        Args:
            classes: at least one name, in the order of the labels.

        Raises:
            ConfigError: for names that are empty, doubled or too long; the
                former vocabulary is kept then.
        """
        names = check_class_names(classes)
        self.text_encoder.tokenize(self.texts(names))
        self.classes = names
        self.num_classes = len(names)

    def texts(self, classes: Sequence[str]) -> list[str]:
        """The class names within the template."""
        return [self.template.replace('{}', name) for name in classes]

    def train(self, mode: bool = True) -> VideoPromptHead:
        """Switch the mode; features of a trainable text tower are dropped.

        In-place writes through ``.data``, as EMA makes them between training
        and validation, do not move a parameter's version counter.
        """
        if not self.text_encoder.frozen:
            self._text_cache.clear()
        return super().train(mode)

    def text_features(self) -> Tensor:
        """Class embeddings, not normalized, ``(K, E)``.

        Computed once while names, template and weights stay as they are. With
        a trainable tower, computed at every call in training.

        Raises:
            ConfigError: when no class names were given.
        """
        if self.classes is None:
            raise ConfigError(
                'VideoPromptHead has no class names; set cls_head.classes or call '
                'head.set_classes([...])'
            )
        texts = tuple(self.texts(self.classes))
        if not self.text_encoder.frozen and (self.training or torch.is_grad_enabled()):
            # Fused optimizers do not move the version counters that the cache
            # goes by, so nothing is kept across a step.
            self._text_cache.clear()
            return self.text_encoder.encode(texts)
        return self._text_cache.get(self.text_encoder, texts)

    def forward(self, x: Any, num_segs: int | None = None, **kwargs: Any) -> Tensor:
        """Raw logits ``(N, K)``, float32.

        Args:
            x: features in any of the forms of
                :func:`mmxclip.models.common.features.to_video_features`.
            num_segs: frames folded into the batch, as 2D recognizers say it.
            kwargs: what recognizers pass to other heads; not used.
        """
        return self.compare(to_video_features(x, self.in_channels, num_segs), self.text_features())

    def compare(self, features: VideoFeatures, text: Tensor) -> Tensor:
        """Raw logits ``(N, K)``, float32, of any class embeddings ``(K, E)``, not normalized."""
        if self.prompt is not None and features.patches is not None:
            self._check_patches(features.patches)
            classes = text + self.prompt(text, features.patches)  # (N, K, E)
        else:
            classes = text.unsqueeze(0)  # (1, K, E)
        return self.similarity(self.video_proj(features.video), classes)

    def similarity(self, video: Tensor, classes: Tensor) -> Tensor:
        """Scaled cosines; ``(N, E)`` and ``(N or 1, K, E)`` to ``(N, K)``.

        At least float32 also under autocast: a half-precision logit of 100 is
        coarse, and NumPy, which MMAction2's metrics use, has no bfloat16.
        """
        with without_autocast(video.device):
            dtype = torch.promote_types(video.dtype, torch.float32)
            video = F.normalize(video.to(dtype), dim=-1)
            classes = F.normalize(classes.to(dtype), dim=-1)
            cosine = (classes @ video.unsqueeze(-1)).squeeze(-1)
            return self.logit_scale.to(dtype).exp() * cosine

    def loss_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> dict:
        """Losses of logits ``(N*M, K)``; with M > 1 views each view has its video's label."""
        views, rest = divmod(len(cls_scores), len(data_samples))
        if rest:
            raise ConfigError(
                f'{len(cls_scores)} rows of logits for {len(data_samples)} videos: '
                'the rows must be a multiple of the videos'
            )
        if views > 1:
            data_samples = [sample for sample in data_samples for _ in range(views)]
        self._check_labels(data_samples)
        return super().loss_by_feat(cls_scores, data_samples)

    def load_open_clip(self, state_dict: dict[str, Tensor]) -> None:
        """Take over the temperature of an image-text model, where it has one."""
        if 'logit_scale' in state_dict:
            with torch.no_grad():
                self.logit_scale.copy_(state_dict['logit_scale'].reshape(()))

    def _check_patches(self, patches: Tensor) -> None:
        expected = self.prompt.patch_dims
        if patches.shape[-1] != expected:
            raise ConfigError(
                f'the prompts were built for patch features of {expected} channels, but these '
                f'have {patches.shape[-1]} (shape {tuple(patches.shape)}); set '
                f"cls_head.patch_channels={patches.shape[-1]}, the backbone's width"
            )

    def _check_labels(self, data_samples: SampleList) -> None:
        """A label out of range would be scored against nothing, so it is refused."""
        for sample in data_samples:
            label = sample.gt_label
            if label.numel() == 1 and not label.is_floating_point():
                if not 0 <= int(label) < self.num_classes:
                    raise ConfigError(
                        f'label {int(label)} is out of range for {self.num_classes} classes; '
                        'check the annotation file against cls_head.classes'
                    )
            elif label.numel() != self.num_classes:
                raise ConfigError(
                    f'soft labels have {label.numel()} entries for {self.num_classes} classes; '
                    'set num_classes of the blending to the number of class names'
                )
