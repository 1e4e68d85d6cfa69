"""Walk a plan: make what is not made yet, write down each step when it is over."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, init_dist, is_distributed, is_main_process
from mmengine.utils.dl_utils import set_multi_processing

from mmxclip.apis import devices, launch
from mmxclip.errors import CheckpointError, ConfigError
from mmxclip.protocols import records, steps
from mmxclip.protocols.fingerprint import (
    INIT,
    TESTING,
    TRAINING,
    of_checkpoint,
    of_lists,
    of_run,
)
from mmxclip.protocols.plan import Plan, Run
from mmxclip.protocols.records import Record
from mmxclip.protocols.results import Outcome

TRAIN = 'train'
TRAIN_LOADERS = ('train_dataloader', 'val_dataloader')
Result = TypeVar('Result')


@dataclass
class Walk:
    """A plan on its way; all processes walk it alike.

    Args:
        cfg: a whole config.
        plan: made of it.
        path: of the config, for messages.
        checkpoint: weights to test or to start from, or ``'none'``.
        work_dir: each run gets a folder of its own in it.
        launcher: what started the processes.
        fresh: forget runs that are there.
        retest: forget their tests alone.
        say: told what happens, once for all processes.
    """

    cfg: Config
    plan: Plan
    path: str
    checkpoint: str
    work_dir: Path
    launcher: str = 'none'
    fresh: bool = False
    retest: bool = False
    say: Callable[[str], object] = lambda line: None

    @contextmanager
    def opened(self) -> Iterator[dict[str, Record]]:
        """Take hold of the folder, and give what is known of each run.

        Raises:
            ConfigError: settings and folder do not fit together, or another
                process works there.
            CheckpointError: the checkpoint does not exist, or is needed.
            DataError: lists do not exist.
        """
        self.check()
        agree(lambda: launch.require_writable(str(self.work_dir)))
        lock = records.locked(self.work_dir) if is_main_process() else nullcontext()
        with agreed(lock):
            yield agree(self._prepare)

    def outcomes(self, found: dict[str, Record]) -> Iterator[Outcome]:
        """Make what is not there yet, and yield all tests in the order of the plan.

        Args:
            found: from :meth:`opened`.
        """
        for run in self.plan.runs:
            yield from self._make(run, found[run.name])

    def check(self) -> None:
        """Refuse what can be seen before anything is started.

        Raises:
            ConfigError: the config lacks something, or the launcher was not used.
            CheckpointError: the checkpoint does not exist, or is needed.
        """
        needs = launch.TRAIN_NEEDS + launch.TEST_NEEDS if self.plan.train else launch.TEST_NEEDS
        launch.require(self.cfg, self.path, tuple(dict.fromkeys(needs)))
        devices.check_launcher(self.launcher)
        if self.checkpoint == INIT:
            if not self.plan.train:
                raise CheckpointError(
                    f'{self.plan.protocol} tests a checkpoint without training, so it cannot be '
                    f'{INIT!r}; give the path of one'
                )
            return
        launch.require_checkpoint(self.checkpoint)

    def _prepare(self) -> dict[str, Record]:
        """Records of all runs, old and new; refuses all before it begins one."""
        weights = of_checkpoint(self.checkpoint)
        wanted = {run.name: self._fingerprints(run, weights) for run in self.plan.runs}
        found = {}
        for run in self.plan.runs:
            folder = self.work_dir / run.name
            if self.fresh:
                records.forget(folder)
            record = records.read(folder) or Record(wanted[run.name])
            if self.retest:
                record.tests = {}
                kept = {TRAIN: record.fingerprints[TRAIN]} if TRAIN in record.fingerprints else {}
                record.fingerprints = {**wanted[run.name], **kept}
            records.check(record, wanted[run.name], folder)
            found[run.name] = record
        return found

    def _fingerprints(self, run: Run, weights: str) -> dict[str, dict[str, str]]:
        found = {}
        if self.plan.train:
            cfg = self.config_of(run)
            found[TRAIN] = of_run(cfg, TRAINING, weights, of_lists(cfg, TRAIN_LOADERS))
        for name in run.evaluations:
            cfg = self.config_of(run, name)
            found[name] = of_run(cfg, TESTING, weights, of_lists(cfg, ('test_dataloader',)))
        return found

    def config_of(self, run: Run, evaluation: str | None = None) -> Config:
        """The config of a training or, with ``evaluation``, of a test."""
        cfg = copy.deepcopy(self.cfg)
        more = run.evaluations[evaluation] if evaluation is not None else {}
        cfg.merge_from_dict({**run.options, **more})
        return cfg

    def _make(self, run: Run, record: Record) -> Iterator[Outcome]:
        """Train if that is asked for and not done, then test likewise."""
        folder = self.work_dir / run.name
        agree(lambda: record.write(folder))
        weights = self._trained(run, record, folder) if self.plan.train else self.checkpoint
        for name in run.evaluations:
            title = f'{run.name}_{name}'
            if name in record.tests:
                self._tell(f'{title}: done before')
            else:
                self._tell(f'{title}: testing {weights}')
                record.tests[name] = steps.test(
                    self.config_of(run, name), folder / name, weights, self.launcher, title
                )
                agree(lambda: record.write(folder))
            yield Outcome(run.name, run.values, name, trained=record.trained, **record.tests[name])

    def _trained(self, run: Run, record: Record, folder: Path) -> str:
        """The checkpoint to test, after training."""
        title = f'{run.name}_{TRAIN}'
        if record.trained is None:
            self._tell(f'{title}: training from {self.checkpoint}')
            record.trained = steps.train(
                self.config_of(run), folder / TRAIN, self.checkpoint, self.launcher, title
            )
            agree(lambda: record.write(folder))
        else:
            self._tell(f'{title}: done before')
        weights = folder / TRAIN / record.trained['checkpoint']
        if not weights.exists():
            raise CheckpointError(
                f'{str(folder)!r} is trained, but {str(weights)!r} is gone; --fresh trains again'
            )
        return str(weights)

    def _tell(self, line: str) -> None:
        if is_main_process():
            self.say(line)


@contextmanager
def processes(cfg: Config, launcher: str) -> Iterator[None]:
    """Join the other processes as MMEngine's runner would, and take leave at the end."""
    if launcher != 'none' and not is_distributed():
        cfg = copy.deepcopy(cfg)
        cfg.launcher = launcher
        devices.adapt(cfg)
        env = cfg.get('env_cfg') or {}
        set_multi_processing(**env.get('mp_cfg', {}), distributed=True)
        init_dist(launcher, **env.get('dist_cfg', {'backend': 'nccl'}))
    yield
    if launcher != 'none' and is_distributed():
        torch.distributed.destroy_process_group()


def agree(make: Callable[[], Result]) -> Result:
    """Call ``make`` in the first process, and return, or raise, the same in all.

    What is on disk is read and written by one process, so that the others
    cannot see it half-way and decide otherwise.
    """
    box: list[Any] = [None, None]
    if is_main_process():
        try:
            box[0] = make()
        except (ConfigError, CheckpointError, OSError, ValueError) as error:
            box[1] = error
    broadcast_object_list(box)
    if box[1] is not None:
        raise box[1]
    return box[0]


@contextmanager
def agreed(context: Any) -> Iterator[None]:
    """Enter ``context`` in the first process; a failure there is one of all."""
    agree(lambda: context.__enter__())
    try:
        yield
    finally:
        if is_main_process():
            context.__exit__(None, None, None)
