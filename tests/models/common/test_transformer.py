from __future__ import annotations

import math

import pytest
import torch
from small_models import disturb
from torch import nn

from mmxclip.errors import ConfigError
from mmxclip.models.common import MLP, QuickGELU, TransformerBlock, activation

DIMS, HEADS, LENGTH = 12, 3, 5


def test_quick_gelu():
    for value in (-3.0, -0.5, 0.0, 0.5, 3.0):
        expected = value / (1 + math.exp(-1.702 * value))
        assert float(QuickGELU()(torch.tensor(value).double())) == pytest.approx(
            expected, abs=1e-12
        )


@pytest.mark.parametrize(('act', 'function'), [('quick_gelu', QuickGELU()), ('gelu', nn.GELU())])
def test_mlp(act, function):
    mlp = disturb(MLP(DIMS, act))
    assert mlp.fc1.weight.shape == (4 * DIMS, DIMS)
    x = torch.randn(2, LENGTH, DIMS)
    inner = function(x @ mlp.fc1.weight.T + mlp.fc1.bias)
    torch.testing.assert_close(mlp(x), inner @ mlp.fc2.weight.T + mlp.fc2.bias)


@pytest.mark.parametrize(('act', 'function'), [('quick_gelu', QuickGELU()), ('gelu', nn.GELU())])
def test_block_is_torchs_encoder_layer(act, function):
    """Forward and gradient against ``nn.TransformerEncoderLayer`` with the same weights."""
    ours = disturb(TransformerBlock(DIMS, HEADS, act).double())
    theirs = nn.TransformerEncoderLayer(
        DIMS, HEADS, 4 * DIMS, dropout=0.0, activation=function, batch_first=True, norm_first=True
    ).double()
    names = {
        'self_attn.in_proj_weight': 'attn.qkv.weight',
        'self_attn.in_proj_bias': 'attn.qkv.bias',
        'self_attn.out_proj.weight': 'attn.out_proj.weight',
        'self_attn.out_proj.bias': 'attn.out_proj.bias',
    }
    for their, own in (('linear1', 'mlp.fc1'), ('linear2', 'mlp.fc2')):
        names |= {f'{their}.{leaf}': f'{own}.{leaf}' for leaf in ('weight', 'bias')}
    for norm in ('norm1', 'norm2'):
        names |= {f'{norm}.{leaf}': f'{norm}.{leaf}' for leaf in ('weight', 'bias')}
    own_state = ours.state_dict()
    assert sorted(names.values()) == sorted(own_state)
    theirs.load_state_dict({their: own_state[own] for their, own in names.items()})

    x = torch.randn(2, LENGTH, DIMS, dtype=torch.float64)
    own_x, their_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    actual, expected = ours(own_x), theirs(their_x)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)
    weight = torch.randn_like(actual)
    (actual * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(own_x.grad, their_x.grad, rtol=1e-10, atol=1e-12)
    own_parameters, their_parameters = dict(ours.named_parameters()), theirs.named_parameters()
    for name, parameter in their_parameters:
        own = own_parameters[names[name]]
        torch.testing.assert_close(own.grad, parameter.grad, rtol=1e-10, atol=1e-12)


def test_unknown_activation():
    with pytest.raises(ConfigError, match=r"act='relu' is not known.*\['gelu', 'quick_gelu'\]"):
        activation('relu')
