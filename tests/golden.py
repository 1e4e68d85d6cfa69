"""The synthetic model of the specification: weights and inputs from formulas, not seeds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EMBED_DIMS, NUM_FRAMES, NUM_CLASSES = 128, 4, 3
TEXT_ROWS = ((62, 5, 9, 63), (62, 5, 9, 17, 30, 63), (62, 40, 63))


def golden_config(**overrides: dict) -> dict:
    """Config of the golden XCLIP; ``overrides`` update its parts by name."""
    config = dict(
        type='XCLIP',
        backbone=dict(
            type='CrossFrameViT',
            img_size=32,
            patch_size=16,
            embed_dims=128,
            num_layers=2,
            output_dims=EMBED_DIMS,
        ),
        neck=dict(
            type='MultiFrameIntegrationTransformer', embed_dims=EMBED_DIMS, num_frames=NUM_FRAMES
        ),
        cls_head=dict(
            type='VideoPromptHead',
            patch_channels=128,
            text_encoder=dict(
                type='CLIPTextEncoder',
                output_dims=EMBED_DIMS,
                embed_dims=128,
                num_layers=2,
                context_length=16,
                vocab_size=64,
            ),
        ),
    )
    for part, changes in overrides.items():
        config[part].update(changes)
    return config


def golden_state_dict(shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Weights by formula for the authors' key names, float64."""
    filled = {}
    for j, key in enumerate(sorted(shapes)):
        shape = shapes[key]
        i = torch.arange(math.prod(shape), dtype=torch.float64)
        wave = torch.sin(0.37 * i + 0.11 * j)
        if key == 'logit_scale':
            value = torch.full_like(i, math.log(10))
        elif key == 'prompts_generator.alpha':
            value = torch.full_like(i, 0.1)
        elif len(shape) == 1:
            value = 1 + 0.1 * wave if key.endswith('.weight') else 0.1 * wave
        else:
            value = 0.15 * torch.sin(0.37 * i + 0.11 * j + 0.013 * (i % 97) ** 2)
        filled[key] = value.reshape(shape)
    return filled


def golden_video() -> Tensor:
    """Input ``(1 view)``: ``(2, 1, 3, T, 32, 32)``, float64."""
    i = torch.arange(2 * NUM_FRAMES * 3 * 32 * 32, dtype=torch.float64)
    flat = torch.sin(0.05 * i) + 0.5 * torch.cos(0.0013 * i)
    return flat.reshape(2, NUM_FRAMES, 3, 32, 32).transpose(1, 2).unsqueeze(1)


def golden_tokens() -> Tensor:
    """Token ids ``(3, 16)``, zero-padded."""
    tokens = torch.zeros(len(TEXT_ROWS), 16, dtype=torch.long)
    for row, ids in zip(tokens, TEXT_ROWS, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return tokens
