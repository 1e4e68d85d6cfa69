"""Attention weights of a cross-frame transformer, recomputed beside its fused attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from mmxclip.models.backbones.cross_frame_block import CrossFrameBlock
from mmxclip.models.backbones.cross_frame_vit import CrossFrameViT
from mmxclip.models.common.attention import SelfAttention


class LayerAttention(NamedTuple):
    """Weights of one layer, averaged over heads; each row sums to 1.

    Attributes:
        intra: within each frame, from L tokens to them and, last, to the message:
            ``(N, T, L, L + 1)``, or ``(N, T, L, L)`` where frames send no messages.
        messages: between the messages of T frames, ``(N, T, T)``, or None.
    """

    intra: Tensor
    messages: Tensor | None


def attention_weights(
    attention: SelfAttention, x: Tensor, num_queries: int | None = None
) -> Tensor:
    """Weights by head that a call computes, ``(*, H, L, S)``, at least float32.

    Args:
        attention: the module.
        x: its input, ``(*, S, D)``.
        num_queries: as the module takes it; L = S when None.
    """
    query, key, _ = attention.qkv(x).chunk(3, dim=-1)
    query = query[..., :num_queries, :]
    heads = (attention.num_heads, -1)
    query, key = (part.unflatten(-1, heads).transpose(-2, -3) for part in (query, key))
    dtype = torch.promote_types(x.dtype, torch.float32)
    logits = query.to(dtype) @ key.to(dtype).transpose(-1, -2) * query.shape[-1] ** -0.5
    return logits.softmax(dim=-1)


@contextmanager
def recorded_attention(backbone: CrossFrameViT) -> Iterator[list[LayerAttention]]:
    """Record the weights of the next call of ``backbone``; the model computes as ever.

    The list is filled, first layer first, when the call has ended. Of a call in
    training with ``with_cp`` the backward pass must come after the block.

    Args:
        backbone: whose layers are watched within the block.
    """
    layers: list[LayerAttention] = []
    messages: list[Tensor] = []

    def keep_messages(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        messages.append(_mean_of_heads(module, args, kwargs))

    def keep_layer(
        module: nn.Module, args: tuple, kwargs: dict[str, Any], cross_frame: bool
    ) -> None:
        sent = messages.pop() if cross_frame else None
        layers.append(LayerAttention(_mean_of_heads(module, args, kwargs), sent))

    with ExitStack() as stack:
        for block in cast(list[CrossFrameBlock], list(backbone.blocks)):
            watched: list[tuple[nn.Module, Callable]] = [
                (block.attn, partial(keep_layer, cross_frame=block.cross_frame))
            ]
            if block.cross_frame:
                watched.append((block.message_attn, keep_messages))
            for module, keep in watched:
                handle = module.register_forward_pre_hook(keep, with_kwargs=True)
                stack.callback(handle.remove)
        yield layers


@torch.no_grad()
def _mean_of_heads(module: Any, args: tuple, kwargs: dict[str, Any]) -> Tensor:
    return attention_weights(module, *args, **kwargs).mean(dim=-3)
