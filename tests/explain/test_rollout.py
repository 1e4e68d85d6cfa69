"""Attention rollout against a slow plain loop, on limits, and on the model's own output."""

import pytest
import torch

from mmxclip.explain import (
    LayerAttention,
    attention_rollout,
    attention_weights,
    recorded_attention,
)
from mmxclip.models import CrossFrameViT
from mmxclip.models.common.attention import SelfAttention


def random_layers(number, frames=3, length=4, batch=2, messages=True):
    def weights(*shape):
        return torch.rand(*shape, dtype=torch.float64).softmax(-1)

    return [
        LayerAttention(
            weights(batch, frames, length, length + messages),
            weights(batch, frames, frames) if messages else None,
        )
        for _ in range(number)
    ]


def plain_layer(layer, video):
    """The matrix of one layer, ``(T*L, T*L)``, element by element."""
    intra = layer.intra[video]
    frames, length = intra.shape[:2]
    matrix = torch.zeros(frames * length, frames * length, dtype=torch.float64)
    for t in range(frames):
        for q in range(length):
            row = t * length + q
            matrix[row, row] += 0.5
            for k in range(length):
                matrix[row, t * length + k] += 0.5 * intra[t, q, k]
            if layer.messages is not None:
                for s in range(frames):
                    share = 0.5 * (s == t) + 0.5 * layer.messages[video, t, s]
                    matrix[row, s * length] += 0.5 * intra[t, q, length] * share
    return matrix


@pytest.mark.parametrize('messages', [True, False])
@pytest.mark.parametrize('number', [1, 4])
def test_equals_a_plain_loop(number, messages):
    layers = random_layers(number, messages=messages)
    rollout = attention_rollout(layers)
    for video in range(2):
        product = torch.eye(12, dtype=torch.float64)
        for layer in layers:
            product = plain_layer(layer, video) @ product
        expected = product[::4].reshape(3, 3, 4)  # rows of class tokens
        torch.testing.assert_close(rollout[video], expected)
    torch.testing.assert_close(rollout.sum((2, 3)), torch.ones(2, 3, dtype=torch.float64))


def test_one_layer_is_its_attention():
    (layer,) = random_layers(1, messages=False)
    rollout = attention_rollout([layer])
    for frame in range(3):
        torch.testing.assert_close(rollout[:, frame, frame, 1:], layer.intra[:, frame, 0, 1:] / 2)


def test_frames_without_messages_see_themselves_alone():
    rollout = attention_rollout(random_layers(3, messages=False))
    others = ~torch.eye(3, dtype=torch.bool)
    assert (rollout[:, others] == 0).all()
    assert (attention_rollout(random_layers(3))[:, others][..., 0] > 0).all()


def test_uniform_attention_gives_uniform_maps():
    frames, length = 3, 5
    uniform = LayerAttention(
        torch.full((1, frames, length, length + 1), 1 / (length + 1), dtype=torch.float64),
        torch.full((1, frames, frames), 1 / frames, dtype=torch.float64),
    )
    video = attention_rollout([uniform] * 6).mean(1)
    patches = video[..., 1:]
    torch.testing.assert_close(patches, patches[:1, :1, :1].expand_as(patches))
    assert patches.min() > 0.01


@pytest.mark.parametrize('num_queries', [None, 3])
def test_weights_reproduce_the_output(num_queries):
    attention = SelfAttention(32, 4).double()
    x = torch.randn(2, 5, 6, 32, dtype=torch.float64)
    weights = attention_weights(attention, x, num_queries)
    value = attention.qkv(x).chunk(3, -1)[2].unflatten(-1, (4, 8)).transpose(-2, -3)
    out = attention.out_proj((weights @ value).transpose(-2, -3).flatten(-2))
    torch.testing.assert_close(out, attention(x, num_queries), atol=1e-10, rtol=0)


@pytest.mark.parametrize('cross_frame', [True, False])
def test_recording_changes_nothing(cross_frame):
    backbone = CrossFrameViT(
        img_size=32,
        patch_size=16,
        embed_dims=32,
        num_layers=3,
        num_heads=2,
        output_dims=16,
        cross_frame=cross_frame,
    ).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        before = backbone(clip)
        with recorded_attention(backbone) as layers:
            during = backbone(clip)
        backbone(clip)
    assert torch.equal(before.frames, during.frames)
    assert len(layers) == 3  # the call after the block is not recorded
    for layer in layers:
        assert layer.intra.shape == (2, 4, 5, 5 + cross_frame)
        torch.testing.assert_close(layer.intra.sum(-1), torch.ones(2, 4, 5))
        assert (layer.messages is None) != cross_frame
    rollout = attention_rollout(layers)
    assert rollout.shape == (2, 4, 4, 5)
    torch.testing.assert_close(rollout.sum((2, 3)), torch.ones(2, 4))


def test_recorded_weights_give_the_output_of_each_layer():
    """One head: its weights, put in the place of the fused attention, give the same features."""
    sizes = dict(img_size=32, patch_size=16, embed_dims=16, output_dims=8)
    backbone = CrossFrameViT(**sizes, num_layers=2, num_heads=1).double().eval()
    clip = torch.randn(1, 3, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad(), recorded_attention(backbone) as layers:
        expected = backbone.encode(clip.transpose(1, 2))

    def apply(attention, weights, x):
        return attention.out_proj(weights @ attention.qkv(x).chunk(3, -1)[2])

    with torch.no_grad():
        x = backbone.embed(clip.transpose(1, 2))
        for block, layer in zip(backbone.blocks, layers, strict=True):
            message = block.message_fc(x[:, :, 0])
            normed = block.message_norm(message)
            message = message + apply(block.message_attn, layer.messages, normed)
            tokens = block.norm1(torch.cat([x, message[:, :, None]], 2))
            x = x + apply(block.attn, layer.intra, tokens)
            x = x + block.mlp(block.norm2(x))
    torch.testing.assert_close(x, expected, atol=1e-10, rtol=0)
