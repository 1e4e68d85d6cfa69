"""Settings that depend on the machine a run finds itself on, not on the experiment."""

from __future__ import annotations

import os

from mmengine.config import Config
from mmengine.device import get_device

from mmxclip.errors import ConfigError

PLAIN, AMP, CPU_AMP = 'OptimWrapper', 'AmpOptimWrapper', 'CPUAmpOptimWrapper'
RANK_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
STARTERS = {'pytorch': 'torchrun or tools/dist_train.sh', 'slurm': 'srun', 'mpi': 'mpirun'}


def adapt(cfg: Config) -> list[str]:
    """Fit ``cfg``, in place, to the devices of this machine.

    On a machine without an accelerator, mixed precision becomes bfloat16 on
    the CPU, several processes talk through gloo, and loaders do not pin memory,
    which torch would warn about. Elsewhere nothing changes.

    Args:
        cfg: a whole config; ``cfg.launcher`` is set.

    Returns:
        One sentence for each change, for the log.
    """
    if get_device() != 'cpu':
        return []
    notes = []
    _leave_memory_unpinned(cfg)
    if 'optim_wrapper' in cfg and cfg.optim_wrapper and _type_name(cfg.optim_wrapper) == AMP:
        cfg.optim_wrapper.type = f'mmxclip.{CPU_AMP}'  # takes the same arguments
        notes.append(f'No accelerator: {AMP} is replaced by {CPU_AMP}, bfloat16 on the CPU.')
    if cfg.launcher != 'none':
        notes += _to_gloo(cfg)
    return notes


def enable_amp(cfg: Config) -> None:
    """Switch the optimizer wrapper of ``cfg`` to mixed precision, in place.

    Raises:
        ConfigError: the wrapper is of a type of its own, which may do this in its own way.
    """
    wrapper = cfg.optim_wrapper
    name = _type_name(wrapper)
    if name not in (PLAIN, AMP, CPU_AMP):
        raise ConfigError(
            f'--amp: optim_wrapper.type is {name}, expected {PLAIN} or {AMP}; '
            'leave --amp out and set the precision in the config'
        )
    if name != CPU_AMP:
        wrapper.type = AMP
        wrapper.setdefault('loss_scale', 'dynamic')


def check_launcher(launcher: str) -> None:
    """Refuse a launcher whose processes were not started by it.

    Raises:
        ConfigError: a variable that the launcher sets is not in the environment.
    """
    missing = [name for name in RANK_VARIABLES.get(launcher, ()) if name not in os.environ]
    if missing:
        raise ConfigError(
            f'--launcher {launcher}: {", ".join(missing)} not in the environment; '
            f'start the tool by {STARTERS[launcher]}, or leave --launcher out'
        )
    if launcher == 'mpi':
        # MMEngine leaves it unset, and every process would take the first GPU.
        os.environ['LOCAL_RANK'] = os.environ['OMPI_COMM_WORLD_LOCAL_RANK']


def _type_name(wrapper: dict) -> str:
    """Return the bare class name that ``wrapper`` asks for, whatever scope precedes it."""
    kind = wrapper.get('type', PLAIN)
    return kind.rsplit('.', 1)[-1] if isinstance(kind, str) else kind.__name__


def _leave_memory_unpinned(cfg: Config) -> None:
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if isinstance(loader, dict) and loader.get('pin_memory'):
            loader['pin_memory'] = False


def _to_gloo(cfg: Config) -> list[str]:
    """Let the processes of ``cfg`` communicate without GPUs."""
    # ``setdefault`` of a Config hands out a copy, so the dicts are put in whole.
    env = dict(cfg.get('env_cfg') or {})
    env['dist_cfg'] = {**(env.get('dist_cfg') or {}), 'backend': 'gloo'}
    cfg.env_cfg = env
    return ['No accelerator: the processes communicate through gloo.']
