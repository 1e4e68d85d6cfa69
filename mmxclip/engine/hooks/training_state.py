"""What MMEngine's checkpoints lack for going on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.distributed.fsdp import FullyShardedDataParallel

from mmxclip.engine.random_state import capture, restore
from mmxclip.registry import HOOKS

KEY = 'training_state'


@HOOKS.register_module()
class TrainingStateHook(Hook):
    """Keep random states, batch order and unfinished gradients in checkpoints.

    Under the key ``training_state`` a checkpoint then holds

    - the state of every random number generator, for every process;
    - the state of the loop, see :class:`ResumableEpochBasedTrainLoop`;
    - gradients that were accumulated but not yet applied, when gradients are
      accumulated and the checkpoint falls between two updates. Several
      processes keep their mean, which is what the update would have used.

    Random numbers are put aside during validation: whether and how a run
    validates does not change what it trains.

    Tensors and plain types alone, so the file loads with ``weights_only=True``.
    """

    priority = 'LOW'  # before checkpoint hooks save

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None
        self._gathered: dict[str, Any] | None = None
        self._aside: dict[str, Any] | None = None

    def before_train(self, runner: Runner) -> None:
        """Hand the loop and the gradients what a resumed checkpoint holds."""
        loaded, self._loaded = self._loaded, None
        if runner.iter == 0 and runner.epoch == 0:  # weights were loaded, nothing is resumed
            return
        if loaded is None:
            runner.logger.warning(
                'The checkpoint holds no training state: training goes on with other random '
                'numbers than without the stop.'
            )
        loaded = loaded or {}
        if hasattr(runner.train_loop, 'load_state_dict'):
            runner.train_loop.load_state_dict(loaded.get('loop', {}))
        if isinstance(runner.optim_wrapper, OptimWrapper):
            runner.optim_wrapper._inner_count = runner.iter  # FlexibleRunner leaves it at 0
        load_gradients(runner.model, loaded.get('gradients', {}))
        _restore_random(runner, loaded.get('random'))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Forget what was collected for an earlier checkpoint."""
        self._gathered = None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Collect the state when a checkpoint is about to be saved."""
        if _saves_now(runner, by_epoch=False):
            self._gathered = gather(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Collect the state when a checkpoint is about to be saved."""
        if _saves_now(runner, by_epoch=True):
            self._gathered = gather(runner)

    def before_val(self, runner: Runner) -> None:
        """Put the random numbers aside; a best checkpoint may be saved meanwhile."""
        self._gathered = gather(runner)
        self._aside = capture()

    def after_val(self, runner: Runner) -> None:
        """Take the random numbers up again."""
        if self._aside is not None:
            restore(self._aside)
        self._aside = self._gathered = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state; this may run in the first process alone."""
        # without a checkpoint hook that saves, this process alone is known
        state = dict(self._gathered or {'random': [capture()], 'gradients': {}})
        if hasattr(runner.train_loop, 'state_dict'):
            state['loop'] = runner.train_loop.state_dict()
        checkpoint[KEY] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the state until training starts."""
        self._loaded = checkpoint.get(KEY)


def _restore_random(runner: Runner, states: list[dict] | None) -> None:
    """Go on with the random numbers of this process."""
    if states is None:
        return
    if len(states) != get_world_size():
        runner.logger.warning(
            f'The checkpoint is of {len(states)} processes and there are {get_world_size()} '
            'now: random numbers begin anew.'
        )
        return
    restore(states[get_rank()])


def gather(runner: Runner) -> dict[str, Any]:
    """Collect random states and unfinished gradients; every process must call this."""
    return {
        'random': all_gather_object(capture()),
        'gradients': unfinished_gradients(runner),
    }


def unfinished_gradients(runner: Runner) -> dict[str, Tensor]:
    """Return accumulated gradients by parameter name; empty right after an update."""
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, OptimWrapper) or wrapper.should_update():
        return {}
    if FullyShardedDataParallel.fsdp_modules(runner.model):
        runner.logger.warning(
            'Gradients accumulated so far are sharded and not saved: a run that resumes here '
            'loses them. Save checkpoints at multiples of optim_wrapper.accumulative_counts.'
        )
        return {}
    gradients = {}
    for name, parameter in runner.model.named_parameters():
        if parameter.requires_grad:
            gradient = parameter.grad
            # a copy, which all processes must have a part in
            gradient = torch.zeros_like(parameter) if gradient is None else gradient.clone()
            all_reduce(gradient, 'mean')
            gradients[name.removeprefix('module.')] = gradient.cpu()
    return gradients


def load_gradients(model: torch.nn.Module, gradients: dict[str, Tensor]) -> None:
    """Set the gradients of ``model`` to those of :func:`unfinished_gradients`."""
    for name, parameter in model.named_parameters():
        gradient = gradients.get(name.removeprefix('module.'))
        if gradient is not None:
            parameter.grad = gradient.to(parameter.device, parameter.dtype, copy=True)


def _saves_now(runner: Runner, by_epoch: bool) -> bool:
    """Whether a checkpoint hook will save in this turn; its own conditions."""
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook) or hook.by_epoch != by_epoch:
            continue
        every = hook.every_n_epochs if by_epoch else hook.every_n_train_iters
        is_last = hook.is_last_train_epoch if by_epoch else hook.is_last_train_iter
        if every(runner, hook.interval, hook.save_begin) or (hook.save_last and is_last(runner)):
            return True
    return False
