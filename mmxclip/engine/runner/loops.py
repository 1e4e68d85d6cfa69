"""A training loop that goes on where it was stopped, in the middle of an epoch too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import BatchSampler, DataLoader

from mmxclip.engine.hooks.training_state import TrainingStateHook
from mmxclip.engine.random_state import preserved
from mmxclip.registry import LOOPS


@LOOPS.register_module()
class ResumableEpochBasedTrainLoop(EpochBasedTrainLoop):
    """MMEngine's epoch loop, made repeatable and exactly resumable.

    - A checkpoint by iteration (``CheckpointHook(by_epoch=False)``) resumes at
      the next batch of its epoch; MMEngine's loop begins the epoch anew and
      counts iterations on. Batches already seen are skipped in the sampler,
      not loaded.
    - A :class:`TrainingStateHook` is registered if there is none. It keeps in
      checkpoints what else is needed for the same result as without a stop.
    - Samples are seeded one by one, see :class:`SeededDataset`, so the result
      does not depend on the number of loader workers.

    Args:
        runner: the runner.
        dataloader: config of the loader, or a loader. A loader that is built
            already is not changed: its samples are not seeded by this loop, and
            batches to skip are loaded and dropped.
        max_epochs: epochs to train.
        seed_samples: False to leave the dataset as it is.
        kwargs: of MMEngine's loop: ``val_begin``, ``val_interval``,
            ``dynamic_intervals``.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        seed_samples: bool = True,
        **kwargs: Any,
    ) -> None:
        if isinstance(dataloader, dict):
            dataloader = _resumable(dataloader, _common_seed(runner) if seed_samples else None)
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self._done = 0  # batches of the first epoch that an earlier run has trained on
        self._validated = 0  # epochs after which validation is over, where it was due
        if not any(isinstance(hook, TrainingStateHook) for hook in runner.hooks):
            runner.register_hook(TrainingStateHook())

    def state_dict(self) -> dict[str, int]:
        """Return what fixes the order and the content of the batches."""
        state = {'epoch_length': len(self.dataloader), 'validated': self._validated}
        for key, owner in self._seeded():
            seed = getattr(owner, 'seed', None)
            if isinstance(seed, int):
                state[key] = seed
        return state

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take over a state of :meth:`state_dict`, once epoch and iteration are resumed.

        A run without a seed in its config draws one when it starts; a resumed
        one must go on with that of the checkpoint.

        Args:
            state: empty when the checkpoint has none.
        """
        length, now = state.get('epoch_length'), len(self.dataloader)
        for key, owner in self._seeded():
            if key in state:
                owner.set_seed(state[key])
        done = self._iter - self._epoch * (length or now)
        if length == now and 0 <= done <= now:
            self._done = done
            self._validated = state['validated']
            return
        self._validated = self._epoch
        if done != 0:
            self.runner.logger.warning(
                f'The checkpoint was saved {done} iterations into an epoch of '
                f'{length or "unknown"} iterations; epochs have {now} now. '
                f'Epoch {self._epoch + 1} begins anew.'
            )

    def run(self) -> nn.Module:
        """Train, and validate in between.

        A checkpoint at the end of an epoch is saved before that epoch is
        validated. A run that resumes from it makes up for the validation, so
        that no score, and no best checkpoint, is missing.
        """
        self.runner.call_hook('before_train')
        if self._epoch > self._validated and self._done == 0:
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validate(self) -> None:
        """Validate if the epoch that has ended asks for it."""
        self._decide_current_val_interval()
        self._validated = self._epoch
        is_last = self._epoch == self._max_epochs
        due = self._epoch >= self.val_begin and (self._epoch % self.val_interval == 0 or is_last)
        if due and self.runner.val_loop is not None:
            self.runner.val_loop.run()

    def run_epoch(self) -> None:
        """Run one epoch, or what is left of it."""
        done, self._done = self._done, 0
        if hasattr(self.dataloader.dataset, 'set_epoch'):
            self.dataloader.dataset.set_epoch(self._epoch)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for index, batch in enumerate(self._batches(done), start=done):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _seeded(self) -> Iterator[tuple[str, Any]]:
        """Yield the sampler and the dataset, where their seeds can be set."""
        samplers = self.dataloader.sampler, getattr(self.dataloader.batch_sampler, 'sampler', None)
        for key, owners in (('sampler_seed', samplers), ('sample_seed', [self.dataloader.dataset])):
            for owner in owners:
                if hasattr(owner, 'set_seed'):
                    yield key, owner
                    break

    def _batches(self, done: int) -> Iterator[Any]:
        """Return the batches of this epoch from ``done`` on."""
        sampler = self.dataloader.sampler
        # a batch sampler of another kind may not draw ``batch_size`` samples a batch
        in_sampler = (
            hasattr(sampler, 'skip') and type(self.dataloader.batch_sampler) is BatchSampler
        )
        if in_sampler:
            sampler.skip(done * self.dataloader.batch_size)
        # A loader draws a seed for its workers from the model's random numbers,
        # once if they persist, else once an epoch.
        with preserved():
            batches = iter(self.dataloader)
        return batches if in_sampler else islice(batches, done, None)


def _resumable(dataloader: dict, seed: int | None) -> dict:
    """Return the config of a loader with our sampler and, with a ``seed``, our dataset on top."""
    dataloader = dict(dataloader)
    if isinstance(dataloader.get('sampler'), dict):
        dataloader['sampler'] = dict(type='mmxclip.ResumableSampler', sampler=dataloader['sampler'])
    if seed is not None:
        dataloader['dataset'] = dict(
            type='mmxclip.SeededDataset', dataset=dataloader['dataset'], seed=seed
        )
    return dataloader


def _common_seed(runner: Runner) -> int:
    """Return the seed that all processes share, before ``diff_rank_seed`` adds the rank."""
    return runner.seed - (runner.rank if runner._randomness_cfg.get('diff_rank_seed') else 0)
