"""The pre-norm transformer block of CLIP and its parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmxclip.errors import ConfigError
from mmxclip.models.common.attention import SelfAttention

LAYER_NORM_EPS = 1e-5
MLP_RATIO = 4


class QuickGELU(nn.Module):
    """``x * sigmoid(1.702 x)``: the activation that OpenAI's CLIP was trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply elementwise."""
        return x * torch.sigmoid(1.702 * x)


_ACTIVATIONS: dict[str, type[nn.Module]] = {'quick_gelu': QuickGELU, 'gelu': nn.GELU}


def activation(name: str) -> type[nn.Module]:
    """Return the class of an activation.

    Args:
        name: ``'quick_gelu'`` (OpenAI's weights) or ``'gelu'`` (most others).

    Raises:
        ConfigError: for another name.
    """
    if name not in _ACTIVATIONS:
        raise ConfigError(f'act={name!r} is not known; expected one of {sorted(_ACTIVATIONS)}')
    return _ACTIVATIONS[name]


class MLP(nn.Module):
    """Two linear layers with biases, fourfold width between; ``(*, D) -> (*, D)``."""

    def __init__(self, embed_dims: int, act: str = 'quick_gelu') -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, MLP_RATIO * embed_dims)
        self.act = activation(act)()
        self.fc2 = nn.Linear(MLP_RATIO * embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to the last dimension."""
        return self.fc2(self.act(self.fc1(x)))


class TransformerBlock(nn.Module):
    """``u = u + MHA(LN(u)); u = u + MLP(LN(u))``; ``(*, L, D) -> (*, L, D)``.

    Args:
        embed_dims: width D.
        num_heads: heads; None for D / 64.
        act: see :func:`activation`.
    """

    def __init__(
        self, embed_dims: int, num_heads: int | None = None, act: str = 'quick_gelu'
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        self.attn = SelfAttention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        self.mlp = MLP(embed_dims, act)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))
