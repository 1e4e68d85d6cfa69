"""Multi-head attention over ``scaled_dot_product_attention``.

Notation: ``*`` any leading dimensions, L queries, S keys, D width, H heads.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mmxclip.errors import ConfigError

HEAD_DIMS = 64
"""Width of one head in every CLIP tower and in every X-CLIP module."""


def resolve_num_heads(embed_dims: int, num_heads: int | None) -> int:
    """Return ``num_heads``, or the CLIP rule ``embed_dims / 64`` when it is None.

    Raises:
        ConfigError: when the heads do not divide the width.
    """
    if num_heads is None:
        num_heads = max(1, embed_dims // HEAD_DIMS)
    if num_heads < 1 or embed_dims % num_heads:
        raise ConfigError(
            f'num_heads={num_heads} must divide embed_dims={embed_dims}; '
            f'CLIP uses embed_dims / {HEAD_DIMS}, give num_heads explicitly for other widths'
        )
    return num_heads


def attend(query: Tensor, key: Tensor, value: Tensor, num_heads: int) -> Tensor:
    """Attend without a mask; ``(*, L, D)`` and twice ``(*, S, D)`` to ``(*, L, D)``."""
    *lead, length, dims = query.shape

    def split(x: Tensor) -> Tensor:
        # (*, S, D) -> (prod(*), H, S, D/H): four dimensions reach the fused kernels
        return x.reshape(-1, x.shape[-2], num_heads, dims // num_heads).transpose(1, 2)

    out = F.scaled_dot_product_attention(split(query), split(key), split(value))
    return out.transpose(1, 2).reshape(*lead, length, dims)


class SelfAttention(nn.Module):
    """Self-attention with one packed projection, as in CLIP.

    Initial values are those of ``torch.nn.MultiheadAttention``: Xavier-uniform
    over the packed ``(3D, D)`` matrix, uniform in ``±D^-1/2`` for the output
    matrix, zero biases.

    Args:
        embed_dims: width D.
        num_heads: heads H; None for D / 64.

    Shape:
        ``(*, L, D) -> (*, L, D)``, or ``(*, num_queries, D)``.
    """

    def __init__(self, embed_dims: int, num_heads: int | None = None) -> None:
        super().__init__()
        self.num_heads = resolve_num_heads(embed_dims, num_heads)
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.out_proj = nn.Linear(embed_dims, embed_dims)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, num_queries: int | None = None) -> Tensor:
        """Attend over all L tokens.

        Args:
            x: tokens ``(*, L, D)``.
            num_queries: only the first so many tokens are wanted as outputs;
                the others serve as keys and values alone.
        """
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if num_queries is not None:
            query = query[..., :num_queries, :]
        return self.out_proj(attend(query, key, value, self.num_heads))


class CrossAttention(nn.Module):
    """Attention of one token set to another: no bias before, a bias after.

    Args:
        embed_dims: width D.
        num_heads: heads H; None for D / 64.

    Shape:
        queries ``(*, L, D)``, context ``(*, S, D)`` -> ``(*, L, D)``.
    """

    def __init__(self, embed_dims: int, num_heads: int | None = None) -> None:
        super().__init__()
        self.num_heads = resolve_num_heads(embed_dims, num_heads)
        self.q_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.k_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.v_proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.out_proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        """Attend from ``queries`` to ``context``."""
        attended = attend(
            self.q_proj(queries), self.k_proj(context), self.v_proj(context), self.num_heads
        )
        return self.out_proj(attended)
