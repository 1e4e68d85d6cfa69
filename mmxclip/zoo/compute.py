"""Parameters and multiply-adds of a model, counted without memory for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmaction.registry import MODELS
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mmxclip.errors import ConfigError


@dataclass(frozen=True)
class ModelCost:
    """What one view of a video costs.

    All multiply-adds are of matrix products, convolutions and attention; what is
    done element by element is left out, as papers do.

    Attributes:
        frames: T.
        img_size: pixels.
        num_classes: K.
        parameters: all of them, text tower included.
        trainable: those that are not frozen.
        macs: multiply-adds from frames to logits, class embeddings at hand.
        macs_as_published: the same when all is computed that the research code
            computes: it projects the patches of each frame, where the mean over
            frames is enough, and asks in the last step of attention for the
            message, which it then drops.
        text_macs: multiply-adds for the class embeddings, once, with texts
            padded to the whole context, as the research code pads them.
    """

    frames: int
    img_size: int
    num_classes: int
    parameters: int
    trainable: int
    macs: int
    macs_as_published: int
    text_macs: int


def cost_of(model_cfg: dict, num_classes: int | None = None) -> ModelCost:
    """Count for a model of type ``XCLIP`` with the parts that its configs have.

    Args:
        model_cfg: ``cfg.model``; not changed.
        num_classes: K; None for the number of class names of the config, whose
            file must be there then.

    Raises:
        ConfigError: for other models.
    """
    model = build_on_meta(model_cfg, num_classes)
    backbone, head = model.backbone, model.cls_head
    frames = _frames_of(model)
    side = backbone.img_size
    with torch.device('meta'):
        video = torch.empty(1, 1, 3, frames, side, side)
        texts = torch.empty(num_classes or head.num_classes, head.embed_dims)
        tokens = torch.zeros(len(texts), head.text_encoder.context_length, dtype=torch.long)
    head.text_features = lambda: texts
    macs = count_macs(lambda: model.extract_feat(video, stage='head'))
    return ModelCost(
        frames=frames,
        img_size=side,
        num_classes=len(texts),
        parameters=sum(p.numel() for p in model.parameters()),
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        macs=macs,
        macs_as_published=macs + _left_out(model, frames),
        text_macs=count_macs(lambda: head.text_encoder(tokens)),
    )


def build_on_meta(model_cfg: dict, num_classes: int | None = None) -> Any:
    """The model on the meta device: shapes without values.

    Args:
        model_cfg: a config of a recognizer.
        num_classes: replaces the class names by so many others.

    Raises:
        ConfigError: when the model has no vision tower, neck and head like X-CLIP's.
    """
    cfg = {key: value for key, value in model_cfg.items() if key != 'init_cfg'}
    preprocessor = dict(cfg.get('data_preprocessor') or {})
    preprocessor.pop('blending', None)  # its distributions need numbers
    if preprocessor:
        cfg['data_preprocessor'] = preprocessor
    if num_classes is not None and isinstance(cfg.get('cls_head'), dict):
        names = [f'class {index}' for index in range(num_classes)]
        cfg['cls_head'] = {**cfg['cls_head'], 'classes': names, 'label_order': None}
    with torch.device('meta'):
        model = MODELS.build(cfg).eval()
    head = getattr(model, 'cls_head', None)
    if not hasattr(model.backbone, 'img_size') or not hasattr(head, 'text_encoder'):
        raise ConfigError(
            f'multiply-adds can be counted for XCLIP with a CrossFrameViT and a VideoPromptHead; '
            f'the config has {type(model).__name__}, {type(model.backbone).__name__} and '
            f'{type(head).__name__}'
        )
    return model


@torch.no_grad()
def count_macs(run: Callable[[], Tensor]) -> int:
    """Multiply-adds of a function of tensors, by torch's own counter of operations.

    Args:
        run: called once.
    """
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


def _frames_of(model: Any) -> int:
    frames = getattr(model.neck, 'num_frames', None) or getattr(model.backbone, 'num_frames', None)
    return frames or 8  # a neck that averages takes any number


def _left_out(model: Any, frames: int) -> int:
    """Multiply-adds that the research code makes and this package does not need."""
    backbone, prompt = model.backbone, model.cls_head.prompt
    width, patches = backbone.embed_dims, backbone.grid_size**2
    count = 0
    if prompt is not None:
        count += (frames - 1) * patches * prompt.patch_proj.numel()
    if backbone.blocks and hasattr(backbone.blocks[0], 'message_fc'):
        # the message's row: its scores and its sum over patches, class and message, and out_proj
        row = 2 * (patches + 2) * width + width**2
        count += len(backbone.blocks) * frames * row
    return count
