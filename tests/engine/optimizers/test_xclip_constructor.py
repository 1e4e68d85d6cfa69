"""Each trainable parameter in exactly one group, and in the right one."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.optim.optimizer import default_constructor
from torch import nn

from mmxclip.engine.optimizers import xclip_constructor
from mmxclip.engine.optimizers.xclip_constructor import new_parameters, plain_name
from mmxclip.errors import ConfigError


class Message(nn.Module):
    """Has old and new parameters, and says which are new."""

    def __init__(self, new: tuple[str, ...] = ('message.weight', 'message.bias')) -> None:
        super().__init__()
        self.new = new
        self.attn = nn.Linear(2, 2)
        self.message = nn.Linear(2, 2)

    def new_parameter_names(self) -> tuple[str, ...]:
        return self.new


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(3, 2))
        self.class_embedding = nn.Parameter(torch.zeros(2))
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.blocks = nn.ModuleList([Message(), Message()])
        self.norm = nn.LayerNorm(2)
        self.transmitter = nn.Linear(2, 2)  # holds the letters of 'mit'
        self.text = nn.Linear(2, 2).requires_grad_(False)


def build(model, paramwise_cfg=None, **optimizer):
    cfg = dict(
        constructor='mmxclip.XCLIPOptimWrapperConstructor',
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1) | optimizer,
        paramwise_cfg=paramwise_cfg,
    )
    return build_optim_wrapper(model, cfg)


def named_groups(model, wrapper):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        group['name']: {
            'lr': pytest.approx(group['lr']),
            'weight_decay': group['weight_decay'],
            'params': {names[id(parameter)] for parameter in group['params']},
        }
        for group in wrapper.optimizer.param_groups
    }


def test_all_groups_of_a_toy():
    model = Toy()
    assert named_groups(model, build(model)) == {
        'base': dict(
            lr=1e-3,
            weight_decay=0.1,
            params={'blocks.0.attn.weight', 'blocks.1.attn.weight', 'transmitter.weight'},
        ),
        'base_no_decay': dict(
            lr=1e-3,
            weight_decay=0,
            params={
                'positional_embedding',
                'class_embedding',
                'logit_scale',
                'blocks.0.attn.bias',
                'blocks.1.attn.bias',
                'norm.weight',
                'norm.bias',
                'transmitter.bias',
            },
        ),
        'new': dict(
            lr=1e-2,
            weight_decay=0.1,
            params={'blocks.0.message.weight', 'blocks.1.message.weight'},
        ),
        'new_no_decay': dict(
            lr=1e-2, weight_decay=0, params={'blocks.0.message.bias', 'blocks.1.message.bias'}
        ),
    }


def test_new_keys_and_multiplier():
    model = Toy()
    groups = named_groups(model, build(model, dict(new_lr_mult=3.0, new_keys=['blocks.0', 'norm'])))
    assert groups['new']['lr'] == 3e-3
    assert groups['new']['params'] == {
        'blocks.0.attn.weight',
        'blocks.0.message.weight',
        'blocks.1.message.weight',
    }
    assert {'norm.weight', 'norm.bias', 'blocks.0.attn.bias'} < groups['new_no_decay']['params']


def test_key_is_a_path_not_a_substring():
    model = nn.ModuleDict({'mit': nn.Linear(2, 2), 'mit2': nn.Linear(2, 2)})
    groups = named_groups(model, build(model, dict(new_keys=['mit'])))
    assert groups['new']['params'] == {'mit.weight'}


@pytest.mark.parametrize(
    ('optimizer', 'expected'),
    [
        (
            dict(type='SGD', lr=1.0, weight_decay=0),  # nothing to tell apart
            {'base': (1.0, 0), 'new': (10.0, 0)},
        ),
        (
            dict(type='AdamW', lr=1.0),  # which decays by default
            {
                'base': (1.0, 0.01),
                'base_no_decay': (1.0, 0),
                'new': (10.0, 0.01),
                'new_no_decay': (10.0, 0),
            },
        ),
    ],
)
def test_no_more_groups_than_settings(optimizer, expected):
    cfg = dict(constructor='XCLIPOptimWrapperConstructor', optimizer=optimizer)
    groups = build_optim_wrapper(Toy(), cfg).optimizer.param_groups
    found = {group['name']: (group['lr'], group['weight_decay']) for group in groups}
    assert found == expected
    assert len(groups) == len(expected)


@pytest.mark.parametrize('wrap', ['module', '_fsdp_wrapped_module', '_orig_mod'])
def test_wrappers_do_not_matter(wrap):
    model = Toy()
    wrapped = nn.Module()
    wrapped.add_module(wrap, model)
    expected = named_groups(model, build(model, dict(new_keys=['norm'])))
    assert named_groups(model, build(wrapped, dict(new_keys=['norm']))) == expected


@pytest.mark.parametrize(
    ('name', 'plain'),
    [
        ('module.backbone.proj', 'backbone.proj'),
        ('_fsdp_wrapped_module.blocks.0._fsdp_wrapped_module.fc.bias', 'blocks.0.fc.bias'),
        ('module._orig_mod.a._checkpoint_wrapped_module.b', 'a.b'),
        ('a.module.b', 'a.module.b'),
    ],
)
def test_plain_name(name, plain):
    assert plain_name(name) == plain


def test_frozen_parameters_are_left_out_in_silence(monkeypatch):
    lines = []
    for module in (xclip_constructor, default_constructor):  # MMEngine's warns for each of them
        monkeypatch.setattr(module, 'print_log', lambda line, **_: lines.append(line))
    model = Toy()
    wrapper = build(model)
    grouped = [p for group in wrapper.optimizer.param_groups for p in group['params']]
    assert not any(parameter is model.text.weight for parameter in grouped)
    assert len(grouped) == len(set(grouped)) == sum(p.requires_grad for p in model.parameters())
    assert lines[0] == 'parameter group base: lr=0.001, weight_decay=0.1, 3 tensors, 12 numbers'
    assert len(lines) == 4


def test_new_parameters_are_the_modules_word():
    model = Toy()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(parameter)] for parameter in new_parameters(model)} == {
        f'blocks.{i}.message.{kind}' for i in range(2) for kind in ('weight', 'bias')
    }


@pytest.mark.parametrize(
    ('model', 'paramwise_cfg', 'optimizer', 'message'),
    [
        (Toy(), dict(new_keys=['necks']), {}, "new_keys holds 'necks'.*give full names"),
        (Toy(), dict(new_keys='neck'), {}, 'must be a list'),
        (Toy(), dict(custom_keys={}), {}, 'knows .*new_lr_mult'),
        (Toy(), None, dict(lr=None), 'has no lr'),
        (Message(new=('gone.weight',)), None, {}, r"Message \(the model\) calls 'gone.weight' new"),
    ],
)
def test_errors(model, paramwise_cfg, optimizer, message):
    with pytest.raises(ConfigError, match=message):
        build(model, paramwise_cfg, **optimizer)
