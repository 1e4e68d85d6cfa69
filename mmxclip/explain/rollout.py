"""Attention rollout (Abnar and Zuidema, arXiv:2005.00928) through frames and messages.

Tokens of all frames are followed together; (t, q) is token q of frame t, token
0 its class token. With A_t the weights within frame t, B those between
messages, both averaged over heads, one layer mixes

    M                  = I / 2 + B / 2            m^ = m + CFA(LN(m))
    E[(t,q), (s,k)]    = A_t[q,k]   if s = t      tokens of the same frame
                       + A_t[q,L] M[t,s] if k = 0 the message, made of class tokens
    layer              = I / 2 + E / 2            z = z + IFA(...)

because the message of frame s is a linear map of its class token, and every
residual connection is taken to count as much as what is added to it. Rows of E
sum to 1, so those of a product of layers do. The feed-forward networks act on
each token alone and move nothing between them.

The rollout is a measure of where information could come from, not of what it
did to a score.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmxclip.explain.attention import LayerAttention


def attention_rollout(layers: Sequence[LayerAttention]) -> Tensor:
    """Shares of all tokens in the class token of each frame.

    Never forms the ``(T*L, T*L)`` matrices: a row of the product is followed from
    the last layer to the first.

    Args:
        layers: first layer first, as :func:`recorded_attention` gives them.

    Returns:
        ``(N, T, T, L)``: frame that is looked from, frame and token that are looked
        at; the last two sum to 1. The mean over dimension 1 is that of a video
        embedding which averages frames.
    """
    intra = layers[0].intra
    batch, frames, length = intra.shape[:3]
    rows = intra.new_zeros(batch, frames, frames, length)
    index = torch.arange(frames, device=intra.device)
    rows[:, index, index, 0] = 1
    for layer in reversed(layers):
        rows = layer_step(rows, layer)
    return rows


def layer_step(rows: Tensor, layer: LayerAttention) -> Tensor:
    """Rows before a layer from rows after it, ``(N, F, T, L)`` to the same.

    Args:
        rows: shares of the tokens after the layer, F sets of them.
        layer: its weights.
    """
    length = rows.shape[-1]
    # (N, F, T, L) x (N, T, L, L + 1): from each frame's tokens to its keys
    keys = torch.einsum('nftq,ntqk->nftk', rows, layer.intra)
    mixed = keys[..., :length].clone()
    if layer.messages is not None:
        message = keys[..., length]  # (N, F, T), the share that each frame's message has
        spread = torch.einsum('nft,nts->nfs', message, layer.messages)
        mixed[..., 0] += (message + spread) / 2
    return (rows + mixed) / 2
