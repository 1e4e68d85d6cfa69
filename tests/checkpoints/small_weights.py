"""Random weights of a very small X-CLIP, and of its towers alone, in every format."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from mmxclip.checkpoints.architecture import expected_state
from mmxclip.checkpoints.formats import FORMATS

SIZES = dict(
    width=12,
    patch_size=2,
    grid_size=3,
    joint_width=20,
    text_width=8,
    context_length=7,
    vocab_size=11,
    num_frames=5,
    messages=1,
    prompts=1,
    num_layers=2,
    neck_layers=3,
    prompt_layers=4,
    text_layers=11,
)
"""Each another number; eleven layers, since 10 sorts before 2."""

NEW = ('.message_', 'neck.', 'cls_head.prompt.')


@functools.cache
def _own() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(6)
    # several dtypes in one file, as in OpenAI's archives
    dtypes = (torch.float32, torch.float16, torch.bfloat16)
    return {
        name: torch.randn(meta.shape, generator=generator).to(dtypes[len(name) % 3])
        for name, meta in expected_state(SIZES).items()
    }


def own(complete: bool = True) -> dict[str, Tensor]:
    """Weights under our names; of the towers alone when not ``complete``."""
    return {
        name: value.clone()
        for name, value in _own().items()
        if complete or not any(part in name for part in NEW)
    }


def weights(name: str) -> dict[str, Tensor]:
    """Weights in the format ``name``."""
    entry = FORMATS[name]
    state = entry.from_own(own(entry.complete or name == 'mmxclip'))
    if name == 'openai':
        state['input_resolution'] = torch.tensor(6)
        state['context_length'] = torch.tensor(7)
        state['vocab_size'] = torch.tensor(11)
    return state
