"""Models of a few thousand parameters, in which every size is another number.

N = 2 rows, T = 3 frames, P = 9 patches (3 x 3 of 4 pixels), D = 20 wide vision
tower, E = 24 joint, W = 16 wide text tower, K = 5 classes.
"""

from __future__ import annotations

import open_clip
import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from mmxclip.checkpoints.key_tables import OPEN_CLIP_TEXT, OPEN_CLIP_VISION

NUM_ROWS, NUM_FRAMES, IMG_SIZE, PATCH_SIZE, NUM_PATCHES = 2, 3, 12, 4, 9
VISION_WIDTH, JOINT_WIDTH, TEXT_WIDTH, CONTEXT = 20, 24, 16, 13
CLASSES = ('abseiling', 'ApplyEyeMakeup', 'sword', 'sword exercise', 'tai chi')

VISION = dict(
    type='CrossFrameViT',
    img_size=IMG_SIZE,
    patch_size=PATCH_SIZE,
    embed_dims=VISION_WIDTH,
    num_layers=2,
    num_heads=2,
    output_dims=JOINT_WIDTH,
)
NECK = dict(
    type='MultiFrameIntegrationTransformer',
    embed_dims=JOINT_WIDTH,
    num_frames=NUM_FRAMES,
    num_heads=3,
)
TEXT = dict(
    type='CLIPTextEncoder',
    output_dims=JOINT_WIDTH,
    embed_dims=TEXT_WIDTH,
    num_layers=2,
    num_heads=4,
    context_length=CONTEXT,
)
HEAD = dict(
    type='VideoPromptHead',
    classes=CLASSES,
    patch_channels=VISION_WIDTH,
    text_encoder=TEXT,
    prompt=dict(num_layers=2, num_heads=3),
)


def build(config: dict, **changes: object) -> nn.Module:
    """Build ``config`` with ``changes``, every parameter disturbed; twice gives the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return disturb(MODELS.build({**config, **changes}))


def xclip(**changes: object) -> nn.Module:
    """The small XCLIP, every parameter disturbed; ``changes`` replace its parts."""
    config = dict(type='XCLIP', backbone=VISION, neck=NECK, cls_head=HEAD)
    return build({**config, **changes})


def disturb(module: nn.Module, seed: int = 1, scale: float = 0.2) -> nn.Module:
    """Move every parameter off its initial value, so that no bias or norm is neutral."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.numel() < 100_000:  # the token table is random already
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(scale * noise.to(parameter.dtype))
    return module


def clip(act: str = 'quick_gelu', **vision: int) -> nn.Module:
    """open_clip's own model of the small sizes, every parameter disturbed; twice the same."""
    cfg = dict(
        image_size=IMG_SIZE, patch_size=PATCH_SIZE, width=VISION_WIDTH, layers=2, head_width=10
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = open_clip.CLIP(
            embed_dim=JOINT_WIDTH,
            vision_cfg=cfg | vision,
            text_cfg=dict(context_length=CONTEXT, width=TEXT_WIDTH, heads=4, layers=2),
            quick_gelu=act == 'quick_gelu',
        )
    return disturb(model.eval(), seed=2)


def video(*lead: int, num_frames: int = NUM_FRAMES, size: int = IMG_SIZE, seed: int = 3) -> Tensor:
    """Random clips ``(*lead, 3, T, H, W)``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*lead, 3, num_frames, size, size, generator=generator)


def clip_state_of(model: nn.Module) -> dict[str, Tensor]:
    """The image-text part of an XCLIP, under open_clip's names."""
    vision, text = OPEN_CLIP_VISION.inverse(), OPEN_CLIP_TEXT.inverse()
    return {
        **vision.convert(model.backbone.state_dict(), ignore_unknown=True),
        **text.convert(model.cls_head.text_encoder.tower.state_dict(), ignore_unknown=True),
        'logit_scale': model.cls_head.logit_scale.detach(),
    }
