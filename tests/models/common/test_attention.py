from __future__ import annotations

import pytest
import torch
from small_models import disturb
from torch import Tensor, nn

from mmxclip.errors import ConfigError
from mmxclip.models.common import CrossAttention, SelfAttention
from mmxclip.models.common.attention import resolve_num_heads

LENGTH, DIMS, HEADS = 5, 12, 3


def torch_attention(ours: SelfAttention) -> nn.MultiheadAttention:
    """PyTorch's own module with the same weights."""
    theirs = nn.MultiheadAttention(DIMS, HEADS, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.load_state_dict(ours.out_proj.state_dict())
    return theirs


@pytest.mark.parametrize('num_queries', [None, 1, 4])
def test_self_attention_is_torchs(num_queries):
    ours = disturb(SelfAttention(DIMS, HEADS).double())
    theirs = torch_attention(ours)
    x = torch.randn(2, LENGTH, DIMS, dtype=torch.float64)
    own_x, their_x = x.clone().requires_grad_(), x.clone().requires_grad_()

    actual = ours(own_x, num_queries)
    expected = theirs(their_x[:, :num_queries], their_x, their_x, need_weights=False)[0]
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)

    weight = torch.randn_like(actual)
    (actual * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(own_x.grad, their_x.grad, rtol=1e-10, atol=1e-12)
    for own, their in (
        (ours.qkv.weight, theirs.in_proj_weight),
        (ours.qkv.bias, theirs.in_proj_bias),
        (ours.out_proj.weight, theirs.out_proj.weight),
        (ours.out_proj.bias, theirs.out_proj.bias),
    ):
        torch.testing.assert_close(own.grad, their.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('num_queries', [None, 2])
def test_leading_dimensions_are_independent(num_queries):
    attention = disturb(SelfAttention(DIMS, HEADS).double())
    x = torch.randn(2, 4, LENGTH, DIMS, dtype=torch.float64)
    together = attention(x, num_queries)
    assert together.shape == (2, 4, num_queries or LENGTH, DIMS)
    for i in range(2):
        for j in range(4):
            alone = attention(x[i, j], num_queries)
            torch.testing.assert_close(together[i, j], alone, rtol=1e-10, atol=1e-12)


def slow_cross_attention(module: CrossAttention, queries: Tensor, context: Tensor) -> Tensor:
    """One pair of token sets, head by head, from the formula."""
    q = queries @ module.q_proj.weight.T
    k = context @ module.k_proj.weight.T
    v = context @ module.v_proj.weight.T
    width = DIMS // HEADS
    heads = []
    for h in range(HEADS):
        part = slice(h * width, (h + 1) * width)
        scores = (q[:, part] @ k[:, part].T) / width**0.5
        weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        heads.append(weights @ v[:, part])
    return torch.cat(heads, dim=1) @ module.out_proj.weight.T + module.out_proj.bias


def test_cross_attention_is_the_formula():
    module = disturb(CrossAttention(DIMS, HEADS).double())
    queries = torch.randn(2, LENGTH, DIMS, dtype=torch.float64, requires_grad=True)
    context = torch.randn(2, 7, DIMS, dtype=torch.float64, requires_grad=True)
    inputs = [queries, context, *module.parameters()]

    actual = module(queries, context)
    pairs = zip(queries, context, strict=True)
    expected = torch.stack([slow_cross_attention(module, q, c) for q, c in pairs])
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)

    weight = torch.randn_like(actual)
    own = torch.autograd.grad((actual * weight).sum(), inputs)
    slow = torch.autograd.grad((expected * weight).sum(), inputs)
    torch.testing.assert_close(own, slow, rtol=1e-10, atol=1e-12)


def test_biases():
    """Packed attention has all of them; cross-attention only the last."""
    assert [name for name, _ in SelfAttention(DIMS).named_parameters() if 'bias' in name] == [
        'qkv.bias',
        'out_proj.bias',
    ]
    assert [name for name, _ in CrossAttention(DIMS).named_parameters() if 'bias' in name] == [
        'out_proj.bias'
    ]


def test_initial_values():
    """Xavier-uniform over the packed (3D, D) matrix; the output matrix within D^-1/2."""
    dims = 64
    attention = SelfAttention(dims)
    for weight, bound in (
        (attention.qkv.weight.detach(), (6 / (4 * dims)) ** 0.5),
        (attention.out_proj.weight.detach(), dims**-0.5),
    ):
        assert 0.98 * bound < float(weight.abs().max()) <= bound
        assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)  # uniform
        assert abs(float(weight.mean())) < 0.05 * bound
    assert not attention.qkv.bias.any()
    assert not attention.out_proj.bias.any()


@pytest.mark.parametrize(
    ('dims', 'given', 'heads'),
    [(512, None, 8), (768, None, 12), (64, None, 1), (20, None, 1), (20, 5, 5)],
)
def test_head_rule(dims, given, heads):
    assert resolve_num_heads(dims, given) == heads


@pytest.mark.parametrize('kind', [SelfAttention, CrossAttention])
@pytest.mark.parametrize(('dims', 'heads'), [(20, 3), (20, 0), (20, -1), (200, None)])
def test_heads_that_do_not_divide_the_width(kind, dims, heads):
    with pytest.raises(ConfigError, match=rf'num_heads=-?\d+ must divide embed_dims={dims}'):
        kind(dims, heads)
