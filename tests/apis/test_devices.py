"""Configs fitted to the machine: bfloat16 and gloo where there is no accelerator."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import OPTIM_WRAPPERS

from mmxclip.apis import devices
from mmxclip.errors import ConfigError


def config(**settings) -> Config:
    """Return a config with what :func:`devices.adapt` relies on."""
    return Config({'launcher': 'none', 'optim_wrapper': {'optimizer': {'type': 'SGD'}}, **settings})


@pytest.fixture
def device(monkeypatch):
    """Return a function that makes the machine look as if it had a device of that name."""
    return lambda name: monkeypatch.setattr(devices, 'get_device', lambda: name)


@pytest.mark.parametrize('kind', ['AmpOptimWrapper', 'mmengine.AmpOptimWrapper'])
def test_amp_becomes_bfloat16_on_a_cpu(device, kind):
    device('cpu')
    cfg = config(
        optim_wrapper={
            'type': kind,
            'optimizer': {'type': 'SGD'},
            'loss_scale': 'dynamic',
            'dtype': 'float16',
            'accumulative_counts': 4,
        }
    )
    (note,) = devices.adapt(cfg)
    assert note == 'No accelerator: AmpOptimWrapper is replaced by CPUAmpOptimWrapper, ' + (
        'bfloat16 on the CPU.'
    )
    assert cfg.optim_wrapper.to_dict() == {
        'type': 'mmxclip.CPUAmpOptimWrapper',
        'optimizer': {'type': 'SGD'},
        'loss_scale': 'dynamic',
        'dtype': 'float16',
        'accumulative_counts': 4,
    }


def test_replacement_takes_the_arguments_of_what_it_replaces(device):
    device('cpu')
    cfg = config(
        optim_wrapper={'type': 'AmpOptimWrapper', 'loss_scale': 512.0, 'dtype': 'bfloat16'}
    )
    devices.adapt(cfg)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    wrapper = OPTIM_WRAPPERS.build({**cfg.optim_wrapper, 'optimizer': optimizer})
    assert type(wrapper).__name__ == 'CPUAmpOptimWrapper'


@pytest.mark.parametrize('launcher', ['none', 'pytorch'])
def test_nothing_changes_on_a_gpu(device, launcher):
    device('cuda')
    cfg = config(launcher=launcher, optim_wrapper={'type': 'AmpOptimWrapper'})
    before = cfg.to_dict()
    assert devices.adapt(cfg) == []
    assert cfg.to_dict() == before


def test_plain_run_on_a_cpu_is_left_alone(device):
    device('cpu')
    cfg = config()
    before = cfg.to_dict()
    assert devices.adapt(cfg) == []
    assert cfg.to_dict() == before


def test_ranks_on_cpus_use_gloo(device):
    device('cpu')
    cfg = config(launcher='pytorch')
    assert devices.adapt(cfg) == ['No accelerator: the processes communicate through gloo.']
    assert cfg.env_cfg.to_dict() == {'dist_cfg': {'backend': 'gloo'}}


def test_other_settings_of_the_environment_are_kept(device):
    device('cpu')
    env = {'cudnn_benchmark': True, 'dist_cfg': {'backend': 'nccl', 'timeout': 60}}
    cfg = config(launcher='pytorch', env_cfg=env)
    devices.adapt(cfg)
    assert cfg.env_cfg.to_dict() == {
        'cudnn_benchmark': True,
        'dist_cfg': {'backend': 'gloo', 'timeout': 60},
    }


@pytest.mark.parametrize('kind', [None, 'OptimWrapper', 'AmpOptimWrapper'])
def test_amp_is_enabled(kind):
    wrapper = {'optimizer': {'type': 'SGD'}} | ({'type': kind} if kind else {})
    cfg = config(optim_wrapper=wrapper)
    devices.enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'


def test_amp_refuses_a_wrapper_of_another_type():
    cfg = config(optim_wrapper={'type': 'ApexOptimWrapper'})
    with pytest.raises(ConfigError, match=r'optim_wrapper\.type is ApexOptimWrapper, expected'):
        devices.enable_amp(cfg)


@pytest.mark.parametrize(
    ('launcher', 'way_out'), [('pytorch', 'torchrun'), ('slurm', 'srun'), ('mpi', 'mpirun')]
)
def test_launcher_that_did_not_launch_is_refused(monkeypatch, launcher, way_out):
    for name in devices.RANK_VARIABLES[launcher]:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=f'--launcher {launcher}: .* start the tool by {way_out}'):
        devices.check_launcher(launcher)


def test_mpi_ranks_take_a_gpu_each(monkeypatch):
    for name, value in zip(devices.RANK_VARIABLES['mpi'], '383', strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('LOCAL_RANK', '0')
    devices.check_launcher('mpi')
    assert devices.os.environ['LOCAL_RANK'] == '3'


@pytest.mark.parametrize(('name', 'pinned'), [('cpu', False), ('cuda', True)])
def test_memory_is_pinned_for_a_gpu_only(device, name, pinned):
    device(name)
    cfg = config(
        train_dataloader=dict(pin_memory=True), val_dataloader=None, test_dataloader=dict(b=1)
    )
    devices.adapt(cfg)
    assert cfg.train_dataloader.pin_memory is pinned
    assert cfg.test_dataloader == dict(b=1)
