"""The two steps of a run, each by an MMEngine runner of its own: training, and a test.

Both happen in this process, also where a training could be a child process
through ``tools/train.py``. The ranks of a distributed job cannot start children
that join the same job, so there would be two ways, of which the one with many
processes would be tried less often; and a child process is not what makes a
run repeatable: :func:`isolated` is, and a test compares it with runs alone. A
run that is killed takes the protocol with it, which goes on from its last
checkpoint when it is started again.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner

from mmxclip.apis import launch
from mmxclip.engine.hooks.class_names_check import leaf_datasets
from mmxclip.errors import CheckpointError, ConfigError
from mmxclip.protocols.fingerprint import INIT
from mmxclip.protocols.isolation import end_workers, isolated

POINTER = 'last_checkpoint'
MAIN = 'top1'


def train(cfg: Config, folder: Path, start: str, launcher: str, title: str) -> dict[str, Any]:
    """Train, or go on with a training that was stopped.

    Args:
        cfg: a whole config; not changed.
        folder: for checkpoints and logs.
        start: a checkpoint to start from, or ``'none'``.
        launcher: what started the processes.
        title: of the run, for logs.

    Returns:
        ``checkpoint``: the name of the last one; ``length``, ``seed``, ``videos``.

    Raises:
        ConfigError: the training saves no checkpoint.
    """
    cfg = _settled(cfg, folder, launcher, title)
    unfinished = last_checkpoint(folder)
    cfg.resume = unfinished is not None
    if unfinished is not None:
        cfg.load_from = str(unfinished)
    elif start != INIT:
        cfg.load_from = start
    if cfg.get('load_from') is not None:
        _leave_out_pretrained(cfg)
    with isolated():
        runner = launch.build_runner(cfg)
        try:
            runner.train()
            length = _length(runner)
            facts = dict(length=length, seed=runner.seed, videos=_videos(runner.train_dataloader))
        finally:
            end_workers(runner)
            del runner
    last = last_checkpoint(folder)
    if last is None:
        raise ConfigError(
            f'training in {str(folder)!r} has saved no checkpoint to test; set '
            "default_hooks.checkpoint=dict(type='ResumableCheckpointHook', interval=1)"
        )
    return {'checkpoint': last.name, **facts}


def test(cfg: Config, folder: Path, weights: str, launcher: str, title: str) -> dict[str, Any]:
    """Test weights.

    Args:
        cfg: a whole config; not changed.
        folder: for logs.
        weights: a checkpoint.
        launcher: what started the processes.
        title: of the run, for logs.

    Returns:
        ``metrics``: accuracies in percent by name; ``videos``: of the list;
        ``unreadable``: those among them that count as wrong; ``input``: the
        shape of one video; ``template``: the text of a class, if there is one.

    Raises:
        ConfigError: the evaluator gives no top-1 accuracy.
    """
    cfg = _settled(cfg, folder, launcher, title)
    cfg.load_from = weights
    cfg.resume = False
    probe = InputShape()
    with isolated():
        runner = launch.build_runner(cfg)
        try:
            runner.register_hook(probe)
            metrics = runner.test()
            facts = dict(
                videos=_videos(runner.test_dataloader),
                input=probe.shape,
                template=_template(runner.model),
            )
        finally:
            end_workers(runner)
            del runner
    return {'metrics': accuracies(metrics), 'unreadable': _unreadable(metrics), **facts}


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a training in ``folder``, or None.

    Found by its name, since the folder may have been moved.

    Raises:
        CheckpointError: it was deleted.
    """
    pointer = folder / POINTER
    text = pointer.read_text(encoding='utf-8').strip() if pointer.is_file() else ''
    if not text:
        return None
    for path in (folder / Path(text).name, Path(text)):
        if path.exists():
            return path
    raise CheckpointError(
        f'{str(pointer)!r} names {text!r}, which does not exist; bring it back, or start over '
        'with --fresh'
    )


def accuracies(metrics: dict[str, Any]) -> dict[str, float]:
    """Accuracies among ``metrics``, in percent, under their bare names.

    Raises:
        ConfigError: there is no top-1.
    """
    found: dict[str, float] = {}
    for key, value in metrics.items():
        name = key.rsplit('/', 1)[-1]
        if name.rstrip('0123456789') in ('top', 'mean') and name[-1].isdecimal():
            found.setdefault(name, 100 * float(value))
    if MAIN not in found:
        raise ConfigError(
            f'test_evaluator gives {", ".join(metrics) or "nothing"}, and a protocol needs {MAIN}; '
            "use dict(type='VideoAccMetric')"
        )
    return found


class InputShape(Hook):
    """Remember the shape of the first video that is tested, ``(M, C, T, H, W)``."""

    def __init__(self) -> None:
        self.shape: list[int] | None = None

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Look at the first batch; called by the runner."""
        if batch_idx == 0 and 'inputs' in data_batch:
            inputs = data_batch['inputs']
            self.shape = list(inputs[0].shape)


def _settled(cfg: Config, folder: Path, launcher: str, title: str) -> Config:
    cfg = copy.deepcopy(cfg)
    cfg.work_dir = str(folder)
    cfg.launcher = launcher
    cfg.experiment_name = title
    return cfg


def _leave_out_pretrained(cfg: Config) -> None:
    """Spare the image-text weights, and their download, that the checkpoint would overwrite."""
    init = cfg.model.get('init_cfg')
    if isinstance(init, dict) and str(init.get('type')).rsplit('.', 1)[-1] == 'OpenCLIPPretrained':
        cfg.model.init_cfg = None


def _length(runner: Runner) -> str:
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        return f'{runner.max_iters} iterations'
    return f'{runner.max_epochs} epochs'


def _videos(loader: Any) -> int:
    return sum(len(dataset) for dataset in leaf_datasets(loader.dataset))


def _template(model: Any) -> str | None:
    model = model.module if is_model_wrapper(model) else model
    return getattr(getattr(model, 'cls_head', None), 'template', None)


def _unreadable(metrics: dict[str, Any]) -> int:
    return sum(int(value) for key, value in metrics.items() if key.endswith('unreadable'))
