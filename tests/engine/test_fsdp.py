"""Sharding within one process; ``tests/test_distributed.py`` has two."""

import pytest
import torch
from golden import golden_config
from mmaction.registry import MODELS
from mmengine.registry import FUNCTIONS
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from toy_training import ToyDropoutModel, toy_config, train

from mmxclip.engine.fsdp import (
    BLOCKS,
    CLIPFSDPStrategy,
    CLIPFullyShardedDataParallel,
    clip_blocks,
    original_shapes,
)
from mmxclip.engine.optimizers.xclip_constructor import XCLIPOptimWrapperConstructor
from mmxclip.errors import ConfigError
from mmxclip.registry import STRATEGIES


@pytest.fixture
def group(tmp_path):
    """A group of one process."""
    store = torch.distributed.FileStore(str(tmp_path / 'store'), 1)
    torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def construct(model):
    cfg = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1))
    groups = XCLIPOptimWrapperConstructor(cfg)(model).optimizer.param_groups
    return {group['name']: len(group['params']) for group in groups}


def test_shapes_before_sharding(group):
    model = ToyDropoutModel()
    plain = {name: parameter.shape for name, parameter in model.named_parameters()}
    expected = construct(model)
    wrapped = CLIPFullyShardedDataParallel(model)
    shapes = original_shapes(wrapped)
    found = {
        name.replace('_fsdp_wrapped_module.', ''): shapes.get(parameter, parameter.shape)
        for name, parameter in wrapped.named_parameters()
    }
    assert found == plain
    assert construct(wrapped) == expected


def test_scalars_stay_whole_and_are_averaged(group, monkeypatch):
    averaged = []
    monkeypatch.setattr(
        'mmxclip.engine.fsdp.all_reduce', lambda gradient, op: averaged.append((gradient, op))
    )
    wrapped = CLIPFullyShardedDataParallel(ToyDropoutModel(dropout=0.0))
    batch = dict(x=[torch.ones(8)] * 2, label=[0, 1], index=[0, 1])
    wrapped(**batch, mode='loss')['loss'].backward()
    scale = wrapped.module.logit_scale
    assert scale.shape == ()
    ((gradient, operation),) = averaged
    assert gradient is scale.grad
    assert operation == 'mean'


def test_other_ignored_states_are_kept(group):
    model = ToyDropoutModel()
    wrapped = CLIPFullyShardedDataParallel(model, ignored_states=[model.frozen.weight])
    assert model.frozen.weight not in original_shapes(wrapped)
    assert model.first.weight in original_shapes(wrapped)


def test_merged_parameters_are_refused(group):
    wrapped = CLIPFullyShardedDataParallel(ToyDropoutModel().first, use_orig_params=False)
    with pytest.raises(ConfigError, match='set use_orig_params=True'):
        construct(wrapped)


def test_nothing_is_sharded_without_fsdp():
    assert original_shapes(ToyDropoutModel()) == {}


def test_policy_takes_the_layers():
    policy = FUNCTIONS.get('mmxclip.clip_blocks')
    assert policy is clip_blocks
    assert policy(nn.Linear(1, 1), recurse=True, nonwrapped_numel=0)
    assert not policy(nn.Linear(1, 1), recurse=False, nonwrapped_numel=0)
    cfg = golden_config()
    cfg['cls_head']['text_encoder'] = dict(cfg['cls_head']['text_encoder'], vocab_size=49408)
    taken = {
        name: type(module).__name__
        for name, module in MODELS.build(cfg).named_modules()
        if policy(module, recurse=False, nonwrapped_numel=0)
    }
    assert taken == {
        'backbone.blocks.0': 'CrossFrameBlock',
        'backbone.blocks.1': 'CrossFrameBlock',
        'neck.blocks.0': 'TransformerBlock',
        'cls_head.prompt.layers.0': 'PromptLayer',
        'cls_head.prompt.layers.1': 'PromptLayer',
        'cls_head.text_encoder.tower.transformer.resblocks.0': 'ResidualAttentionBlock',
        'cls_head.text_encoder.tower.transformer.resblocks.1': 'ResidualAttentionBlock',
    }
    assert set(taken.values()) == set(BLOCKS)


def test_defaults_of_the_strategy(tmp_path):
    strategy = STRATEGIES.build(dict(type='mmxclip.CLIPFSDPStrategy', work_dir=str(tmp_path)))
    assert isinstance(strategy, CLIPFSDPStrategy)
    assert strategy.model_wrapper['type'] == 'mmxclip.CLIPFullyShardedDataParallel'
    assert strategy.model_wrapper['auto_wrap_policy'] == dict(type='mmxclip.clip_blocks')
    assert strategy._is_full_state_dict()


@pytest.mark.parametrize('precision', ['OptimWrapper', 'mmxclip.CPUAmpOptimWrapper'])
def test_flexible_runner_on_one_device(tmp_path, precision):
    """``SingleDeviceStrategy`` gives the weights of ``Runner``."""
    plain = train(toy_config(tmp_path / 'plain', optim_wrapper__type=precision))
    flexible = train(
        toy_config(
            tmp_path / 'flexible',
            runner_type='FlexibleRunner',
            strategy=dict(type='SingleDeviceStrategy'),
            optim_wrapper__type=precision,
        )
    )
    assert not FullyShardedDataParallel.fsdp_modules(flexible.model)
    assert flexible.rows == plain.rows
