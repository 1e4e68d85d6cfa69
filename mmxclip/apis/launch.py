"""What ``tools/train.py`` and ``tools/test.py`` share: from a command line to a finished run."""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from numbers import Number
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import RUNNERS
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmxclip.apis import devices
from mmxclip.apis.reporting import text_of
from mmxclip.doctor.examine import refuse_certain_failure
from mmxclip.errors import CheckpointError, ConfigError, MMXCLIPError

TRAIN_NEEDS = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
TEST_NEEDS = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')


def train(args: Namespace) -> None:
    """Train as the command line says, and print the last validation.

    Args:
        args: what ``tools/train.py`` has parsed.

    Raises:
        ConfigError: config, options and machine do not fit together.
        CheckpointError: the checkpoint to resume from does not exist.
    """
    cfg = load_config(args.config, args.cfg_options)
    merge_train_args(cfg, args)
    require(cfg, args.config, TRAIN_NEEDS)
    if isinstance(cfg.get('load_from'), str):
        require_checkpoint(cfg.load_from)
    refuse_certain_failure(cfg, args.config, trains=True)
    runner = build_runner(cfg)
    validations = LastValidation()
    runner.register_hook(validations)
    runner.train()
    if is_main_process():
        _say(summary_of_training(runner, validations))
    _leave_process_group()


def test(args: Namespace) -> None:
    """Test as the command line says, and print the metrics.

    Args:
        args: what ``tools/test.py`` has parsed.

    Raises:
        ConfigError: config, options and machine do not fit together.
        CheckpointError: the checkpoint does not exist.
    """
    cfg = load_config(args.config, args.cfg_options)
    settle_run(cfg, args)
    require(cfg, args.config, TEST_NEEDS)
    require_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    cfg.resume = False  # a dumped config of a resumed run says True, and would resume here
    refuse_certain_failure(cfg, args.config, trains=False)
    partial = add_dump(cfg, args.dump) if args.dump else None
    runner = build_runner(cfg)
    try:
        metrics = runner.test()
        if partial and is_main_process():
            os.replace(partial, args.dump)
    finally:
        if partial and is_main_process():
            Path(partial).unlink(missing_ok=True)
    if is_main_process():
        _say(f'test of {args.checkpoint}: {format_metrics(metrics)}')
    _leave_process_group()


def load_config(path: str, options: dict[str, Any] | None = None) -> Config:
    """Read the config at ``path`` and write ``options`` over it.

    Args:
        path: a ``.py``, ``.json`` or ``.yml`` file.
        options: dotted keys and values, as ``--cfg-options`` gives them.

    Raises:
        ConfigError: the file does not exist, does not parse, imports what is
            not there, or has no place for an option.
    """
    if not os.path.isfile(path):
        raise ConfigError(f'config {path!r} is no file; give the path of a config')
    try:
        cfg = Config.fromfile(path)
    except MMXCLIPError:
        raise
    except Exception as error:  # a config is a program: anything can come out of it
        root = error
        while isinstance(root.__cause__, Exception):
            root = root.__cause__
        raise ConfigError(
            f'config {path!r} cannot be read: {type(root).__name__}: {text_of(root)}'
        ) from error
    if options:
        try:
            cfg.merge_from_dict(options)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise ConfigError(
                f'--cfg-options {options} do not fit the config {path!r}: {text_of(error)}'
            ) from error
    return cfg


def merge_train_args(cfg: Config, args: Namespace) -> None:
    """Write the arguments of ``tools/train.py`` into ``cfg``, in place.

    An argument wins over the config and over ``--cfg-options``.
    """
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.amp:
        require(cfg, args.config, ('optim_wrapper',))
        devices.enable_amp(cfg)
    if args.auto_scale_lr:
        base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
        if not base:
            raise ConfigError(
                f'--auto-scale-lr: config {args.config!r} names no base batch size; '
                'set auto_scale_lr=dict(base_batch_size=<the batch size that its lr is for>)'
            )
        cfg.auto_scale_lr.enable = True
    # Stock tools drop --seed when the config has a seed.
    randomness = dict(cfg.get('randomness') or {})
    if args.seed is not None:
        randomness['seed'] = args.seed
    if args.diff_rank_seed:
        randomness['diff_rank_seed'] = True
    if args.deterministic:
        randomness['deterministic'] = True
    cfg.randomness = {'seed': None, **randomness}
    settle_run(cfg, args)


def settle_run(cfg: Config, args: Namespace) -> None:
    """Fix launcher and work dir of ``cfg``, in place.

    The work dir is that of the command line, else of the config, else
    ``./work_dirs/<name of the config>``.
    """
    cfg.launcher = args.launcher
    devices.check_launcher(args.launcher)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('.', 'work_dirs', Path(args.config).stem)


def require(cfg: Config, path: str, keys: tuple[str, ...]) -> None:
    """Refuse a config that lacks, or has set to None, one of ``keys``.

    Raises:
        ConfigError: names the keys.
    """
    missing = [key for key in keys if cfg.get(key) is None]
    if missing:
        raise ConfigError(f'config {path!r} has no {", ".join(missing)}; this run needs it')


def require_checkpoint(path: str) -> None:
    """Refuse a local ``path`` that is neither a file nor a folder, before anything is built.

    URLs and MMEngine's names such as ``torchvision://resnet50`` pass; a folder
    is what a sharded run saves.

    Raises:
        CheckpointError: there is nothing at ``path``.
    """
    if '://' not in path and not os.path.exists(path):
        raise CheckpointError(f'checkpoint {path!r} does not exist; give the path of a .pth file')


def require_writable(folder: str) -> None:
    """Make ``folder`` and write a file into it, before anything heavy begins.

    Raises:
        ConfigError: the system refuses.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f'work_dir {folder!r} is not writable ({error.strerror}); give another with --work-dir'
        ) from error


def add_dump(cfg: Config, path: str) -> str:
    """Let the evaluator of ``cfg`` also write its predictions, beside ``path`` at first.

    Returns:
        The file that is written; to be renamed to ``path`` once it is whole.

    Raises:
        ConfigError: the folder of ``path`` does not exist.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ConfigError(f'--dump {path}: there is no folder {folder!r}; make it first')
    partial = f'{path}.partial.pkl'
    evaluators = cfg.test_evaluator
    evaluators = list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
    cfg.test_evaluator = [*evaluators, {'type': 'DumpResults', 'out_file_path': partial}]
    return partial


def build_runner(cfg: Config) -> Runner:
    """Build the runner that ``cfg`` asks for, by ``runner_type`` or MMEngine's ``Runner``."""
    require_writable(cfg.work_dir)
    notes = devices.adapt(cfg)
    runner = RUNNERS.build(cfg)
    for note in notes:
        runner.logger.info(note)
    return runner


class LastValidation(Hook):
    """Remember the metrics of the last validation of this run, and when it was."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.metrics: dict[str, Any] | None = None
        self.time = ''

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Keep ``metrics``; called by the runner."""
        by_iteration = isinstance(runner.train_loop, IterBasedTrainLoop)
        self.metrics = metrics
        self.time = f'iteration {runner.iter}' if by_iteration else f'epoch {runner.epoch}'


def summary_of_training(runner: Runner, validations: LastValidation) -> str:
    """Return the line that closes a training: the last validation, and the best one."""
    if validations.metrics is None:
        return f'trained without validation; checkpoints are in {runner.work_dir}'
    line = f'validation after {validations.time}: {format_metrics(validations.metrics)}'
    best = runner.message_hub.get_info('best_ckpt')
    if best:
        score = runner.message_hub.get_info('best_score')
        line += f'; best {score:.4f}, in {best}'
    return line


def format_metrics(metrics: dict[str, Any]) -> str:
    """Return the numbers among ``metrics`` as ``name value`` pairs; tables stay in the log."""
    pairs = []
    for name, value in metrics.items():
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, Number):
            pairs.append(f'{name} {value:.4f}')
    return ', '.join(pairs) or 'no single numbers; see the log'


def _say(line: str) -> None:
    """Print the result of a run."""
    print(f'mmxclip: {line}', flush=True)  # noqa: T201


def _leave_process_group() -> None:
    """Take leave of the other processes; they would otherwise warn about it."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
