from __future__ import annotations

import itertools

import pytest
import torch
from small_models import disturb
from torch import Tensor, nn

from mmxclip.models.backbones.cross_frame_block import CrossFrameBlock
from mmxclip.models.common import SelfAttention

ROWS, FRAMES, LENGTH, DIMS, HEADS = 2, 3, 5, 12, 4
KEPT = (1.0, 1.0, 1.0)


def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = (centred**2).mean(dim=-1, keepdim=True)
    return centred / (variance + 1e-5).sqrt() * layer.weight + layer.bias


def attend(x: Tensor, layer: SelfAttention) -> Tensor:
    """Attention among the tokens ``(L, D)``, head by head."""
    rows = (layer.qkv.weight[i * DIMS : (i + 1) * DIMS] for i in range(3))
    biases = (layer.qkv.bias[i * DIMS : (i + 1) * DIMS] for i in range(3))
    q, k, v = (x @ w.T + b for w, b in zip(rows, biases, strict=True))
    width = DIMS // HEADS
    heads = []
    for h in range(HEADS):
        part = slice(h * width, (h + 1) * width)
        weights = ((q[:, part] @ k[:, part].T) / width**0.5).softmax(dim=1)
        heads.append(weights @ v[:, part])
    return torch.cat(heads, dim=1) @ layer.out_proj.weight.T + layer.out_proj.bias


def feed_forward(x: Tensor, block: CrossFrameBlock) -> Tensor:
    inner = x @ block.mlp.fc1.weight.T + block.mlp.fc1.bias
    inner = inner * torch.sigmoid(1.702 * inner)
    return inner @ block.mlp.fc2.weight.T + block.mlp.fc2.bias


def slow_block(block: CrossFrameBlock, z: Tensor, scales: tuple[float, ...] = KEPT) -> Tensor:
    """The six steps of the layer for one video ``(T, L, D)``.

    ``scales``: factors of the three branches, as stochastic depth sets them.
    """
    m = torch.stack([block.message_fc.weight @ z_t[0] + block.message_fc.bias for z_t in z])
    m_hat = m + scales[0] * attend(norm(m, block.message_norm), block.message_attn)
    frames = []
    for z_t, m_t in zip(z, m_hat, strict=True):
        y = torch.cat([z_t, m_t[None]])
        y = y + scales[1] * attend(norm(y, block.norm1), block.attn)
        z_t = y[:-1]
        frames.append(z_t + scales[2] * feed_forward(norm(z_t, block.norm2), block))
    return torch.stack(frames)


def make_block(drop_path: float = 0.0, cross_frame: bool = True) -> CrossFrameBlock:
    block = CrossFrameBlock(DIMS, HEADS, drop_path, cross_frame=cross_frame)
    return disturb(block.double())


def test_layer_is_the_formula():
    block = make_block()
    x = torch.randn(ROWS, FRAMES, LENGTH, DIMS, dtype=torch.float64, requires_grad=True)
    inputs = [x, *block.parameters()]

    actual = block(x)
    expected = torch.stack([slow_block(block, video) for video in x])
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)

    weight = torch.randn_like(actual)
    own = torch.autograd.grad((actual * weight).sum(), inputs)
    slow = torch.autograd.grad((expected * weight).sum(), inputs)
    torch.testing.assert_close(own, slow, rtol=1e-9, atol=1e-11)
    assert all(gradient.abs().max() > 0 for gradient in own)


def test_layer_without_messages_is_the_image_models():
    """Every frame by itself: a pre-norm block, and no message parameters."""
    block = make_block(cross_frame=False)
    assert block.new_parameter_names() == []
    x = torch.randn(ROWS, FRAMES, LENGTH, DIMS, dtype=torch.float64)
    together = block(x)
    for row, frame in itertools.product(range(ROWS), range(FRAMES)):
        z = x[row, frame]
        z = z + attend(norm(z, block.norm1), block.attn)
        z = z + feed_forward(norm(z, block.norm2), block)
        torch.testing.assert_close(together[row, frame], z, rtol=1e-10, atol=1e-12)


def test_videos_do_not_see_each_other():
    block = make_block()
    x = torch.randn(ROWS, FRAMES, LENGTH, DIMS, dtype=torch.float64)
    changed = x.clone()
    changed[1] += 1
    torch.testing.assert_close(block(changed)[0], block(x)[0], rtol=0, atol=1e-13)


def test_frames_see_each_other_through_the_class_token_alone():
    block = make_block()
    x = torch.randn(1, FRAMES, LENGTH, DIMS, dtype=torch.float64)
    patches, cls = x.clone(), x.clone()
    patches[:, 0, 1:] += torch.randn(LENGTH - 1, DIMS, dtype=torch.float64)
    cls[:, 0, 0] += torch.randn(DIMS, dtype=torch.float64)
    torch.testing.assert_close(block(patches)[:, 1:], block(x)[:, 1:], rtol=0, atol=1e-13)
    assert (block(cls)[:, 1:] - block(x)[:, 1:]).abs().min() > 1e-9


def test_new_parameters_are_the_messages():
    names = make_block().new_parameter_names()
    assert sorted(names) == [
        'message_attn.out_proj.bias',
        'message_attn.out_proj.weight',
        'message_attn.qkv.bias',
        'message_attn.qkv.weight',
        'message_fc.bias',
        'message_fc.weight',
        'message_norm.bias',
        'message_norm.weight',
    ]


def test_initial_values():
    block = CrossFrameBlock(64)
    for value in (block.message_fc.weight.detach(), block.message_fc.bias.detach()):
        assert 0.9 / 8 < float(value.abs().max()) <= 1 / 8
    for layer in (block.message_norm, block.norm1, block.norm2):
        assert layer.eps == 1e-5
        assert bool((layer.weight == 1).all())
        assert not layer.bias.any()


RATE, COPIES = 0.4, 600


@torch.no_grad()
def test_stochastic_depth():
    """A branch is dropped for a whole video, and the three draws are independent.

    Many copies of a video fall into kinds, as often as chance has it: which of
    the branches were kept. Were single tokens or frames dropped, an output
    would be of no kind; were draws shared, kinds would be missing; were the
    scale another than 1 / (1 - rate), no output would match.
    """
    block = make_block(RATE).train()
    video = torch.randn(FRAMES, LENGTH, DIMS, dtype=torch.float64)
    keep = 1 / (1 - RATE)
    # where the attention within frames is dropped, the messages do not show
    kinds = [k for k in itertools.product((0.0, keep), repeat=3) if k[:2] != (keep, 0.0)]
    variants = torch.stack([slow_block(block, video, kind) for kind in kinds])
    out = block(video.expand(COPIES, -1, -1, -1))

    distance = (out[:, None] - variants[None]).abs().flatten(2).amax(dim=2)  # (copies, kinds)
    nearest, kind = distance.min(dim=1)
    assert nearest.max() < 1e-11
    for index, scales in enumerate(kinds):
        shown = scales if scales[1] else scales[1:]
        dropped = shown.count(0.0)
        chance = RATE**dropped * (1 - RATE) ** (len(shown) - dropped)
        spread = (chance * (1 - chance) / COPIES) ** 0.5
        share = float((kind == index).double().mean())
        assert share == pytest.approx(chance, abs=4 * spread), scales


def test_stochastic_depth_is_identity_in_evaluation():
    block = make_block(RATE).eval()
    x = torch.randn(ROWS, FRAMES, LENGTH, DIMS, dtype=torch.float64)
    expected = torch.stack([slow_block(block, video) for video in x])
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-12)
