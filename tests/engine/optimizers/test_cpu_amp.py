"""bfloat16 in the forward pass, float32 in everything that is kept."""

import pytest
import torch
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from mmxclip.engine.optimizers import cpu_amp
from mmxclip.engine.optimizers.cpu_amp import CPUAmpOptimWrapper
from mmxclip.errors import ConfigError


class Spy(nn.Linear):
    """A layer that remembers the dtype of its outputs."""

    def forward(self, x):
        out = super().forward(x)
        self.seen = out.dtype
        return out


def build(model, **kwargs):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    cfg = dict(type='mmxclip.CPUAmpOptimWrapper', optimizer=optimizer, **kwargs)
    return OPTIM_WRAPPERS.build(cfg)


def step(model, wrapper):
    with wrapper.optim_context(model):
        loss = model(torch.ones(2, 3)).square().mean()
    wrapper.update_params(loss)
    return loss


@pytest.mark.parametrize(
    'kwargs',
    [
        {},
        dict(loss_scale='dynamic', dtype='bfloat16'),
        dict(loss_scale=512.0, use_fsdp=True, dtype=torch.bfloat16, clip_grad=dict(max_norm=1.0)),
    ],
)
def test_step(kwargs):
    model = Spy(3, 4)
    before = model.weight.detach().clone()
    wrapper = build(model, **kwargs)
    assert isinstance(wrapper, CPUAmpOptimWrapper)
    loss = step(model, wrapper)
    assert torch.isfinite(loss)
    assert model.seen == torch.bfloat16
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    state = wrapper.optimizer.state[model.weight]
    assert state['exp_avg'].dtype == torch.float32
    assert not torch.equal(model.weight, before)
    model(torch.ones(2, 3))
    assert model.seen == torch.float32  # the context is left again


def test_accumulates_without_scaling():
    model = Spy(3, 4)
    wrapper = build(model, accumulative_counts=2)
    before = model.weight.detach().clone()
    step(model, wrapper)
    assert torch.equal(model.weight, before)
    step(model, wrapper)
    assert not torch.equal(model.weight, before)


def test_state_round_trip():
    model = Spy(3, 4)
    wrapper = build(model)
    step(model, wrapper)
    other = build(model)
    # as saved by AmpOptimWrapper on a GPU
    saved = {**wrapper.state_dict(), 'loss_scaler': {'scale': 65536.0}}
    other.load_state_dict(saved)
    assert 'loss_scaler' in saved  # the caller's dict is left alone
    state = other.optimizer.state_dict()['state']
    torch.testing.assert_close(state, wrapper.optimizer.state_dict()['state'], rtol=0, atol=0)
    assert 'loss_scaler' not in other.state_dict()


def test_float16_becomes_bfloat16_with_a_line(monkeypatch):
    lines = []
    monkeypatch.setattr(cpu_amp, 'print_log', lambda line, logger: lines.append(line))
    assert build(Spy(3, 4), dtype='float16').cast_dtype == torch.bfloat16
    assert lines == ['float16 is not for CPUs: bfloat16 is used instead']
    assert build(Spy(3, 4), dtype='bfloat16').cast_dtype == torch.bfloat16
    assert len(lines) == 1


def test_other_types_are_refused():
    with pytest.raises(ConfigError, match=r"dtype='float64'.*bfloat16"):
        build(Spy(3, 4), dtype='float64')
