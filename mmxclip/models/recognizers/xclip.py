"""The recognizer: backbone, neck and head in a row."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import torch
from mmaction.models.recognizers import BaseRecognizer
from mmaction.registry import MODELS as HOST_MODELS
from torch import Tensor

from mmxclip.checkpoints.adopt import adopt
from mmxclip.checkpoints.fit import check_fit
from mmxclip.errors import ConfigError
from mmxclip.registry import MODELS

FSDP_PREFIX = '_fsdp_wrapped_module.'
STAGES = ('backbone', 'neck', 'head')


@MODELS.register_module()
class XCLIP(BaseRecognizer):
    """X-CLIP (Ni et al., ECCV 2022, arXiv:2208.02816).

    Args:
        backbone: e.g. :class:`CrossFrameViT`.
        cls_head: e.g. :class:`VideoPromptHead`.
        neck: e.g. :class:`MultiFrameIntegrationTransformer`.
        train_cfg: not used; kept for MMAction2's configs.
        test_cfg: ``max_testing_views`` bounds the views that pass the backbone
            at once, whatever the batch size.
        data_preprocessor: with ``format_shape='NCTHW'``.
        init_cfg: e.g. ``dict(type='OpenCLIPPretrained', ...)``, which fills
            backbone, text tower and temperature in :meth:`init_weights`.

    Shape:
        inputs ``(N, M, C, T, H, W)``, M views (crops x clips) of T frames.
        ``mode='tensor', stage='head'``: raw logits ``(N*M, K)``.
        ``mode='predict'``: ``pred_score (K,)`` per video, views averaged.
    """

    def __init__(
        self,
        backbone: dict,
        cls_head: dict | None = None,
        neck: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if data_preprocessor is None:
            data_preprocessor = dict(type='ActionDataPreprocessor', format_shape='NCTHW')
        if isinstance(data_preprocessor, Mapping):
            # MMEngine would look it up in its root registry, which without a
            # default scope does not know MMAction2's preprocessors
            data_preprocessor = HOST_MODELS.build(data_preprocessor)
        super().__init__(backbone, cls_head, neck, train_cfg, test_cfg, data_preprocessor)
        self.init_cfg = init_cfg
        self.register_load_state_dict_pre_hook(_fit_state_dict)

    def extract_feat(
        self,
        inputs: Tensor,
        stage: str = 'neck',
        data_samples: list | None = None,
        test_mode: bool = False,
    ) -> tuple[Any, dict]:
        """Run the model up to a stage.

        Args:
            inputs: ``(N, M, C, T, H, W)``.
            stage: ``'backbone'``, ``'neck'`` or ``'head'``.
            data_samples: passed to the neck in training.
            test_mode: chunk the views by ``test_cfg.max_testing_views``.

        Returns:
            The stage's output, rows ordered view by view within each video,
            and keyword arguments for the head (``loss_aux`` of the neck).

        Raises:
            ConfigError: for another stage or shape.
        """
        if stage not in STAGES:
            raise ConfigError(f'stage={stage!r} is not known; expected one of {STAGES}')
        if inputs.dim() != 6:
            raise ConfigError(
                f'inputs of shape {tuple(inputs.shape)} do not fit XCLIP; expected '
                "(N, M, C, T, H, W): use FormatShape(input_format='NCTHW') in the pipeline"
            )
        rows = inputs.flatten(0, 1)  # (N*M, C, T, H, W)
        loss_aux: dict = {}
        chunk = (self.test_cfg or {}).get('max_testing_views') if test_mode else None
        if chunk and len(rows) > chunk:
            parts = [self._features(part, stage)[0] for part in rows.split(chunk)]
            x = _join(parts)
        else:
            x, loss_aux = self._features(rows, stage, data_samples)
        if stage == 'head':
            if not self.with_cls_head:
                raise ConfigError("stage='head' was asked of a model that has no cls_head")
            x = self.cls_head(x)
        return x, {} if stage == 'backbone' else {'loss_aux': loss_aux}

    def _features(
        self, rows: Tensor, stage: str, data_samples: list | None = None
    ) -> tuple[Any, dict]:
        """Backbone and, beyond that stage, neck."""
        x = self.backbone(rows)
        if stage == 'backbone' or not self.with_neck:
            return x, {}
        return self.neck(x, data_samples=data_samples)


def _join(parts: list[Any]) -> Any:
    """Concatenate outputs of chunks along their rows, keeping their type."""
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.cat(parts)
    joined = [_join(list(items)) for items in zip(*parts, strict=True)]
    return type(first)(*joined) if hasattr(first, '_fields') else type(first)(joined)


def _fit_state_dict(
    module: XCLIP, state_dict: MutableMapping[str, Tensor], prefix: str, *_: Any
) -> None:
    """Take foreign formats in; refuse what does not fit: MMEngine would only log it and go on."""
    # not state_dict(): within FSDP that would gather the shards while they are being filled
    own = dict(module.named_parameters()) | dict(module.named_buffers())
    sharded = any(FSDP_PREFIX in name for name in own)  # FSDP's strategy loads strictly by itself
    if not prefix and not sharded:
        adopt(state_dict, own)
    for name, part in module.named_children():
        if hasattr(part, 'resize_on_load'):
            part.resize_on_load(state_dict, f'{prefix}{name}.')
    if not sharded:
        check_fit(own, state_dict, prefix=prefix)
