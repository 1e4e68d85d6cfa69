"""Checkpoints that are whole, whenever a run is killed."""

from __future__ import annotations

import os
import os.path as osp
import shutil
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmxclip.registry import HOOKS

PARTIAL = 'partial_'


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's hook, safe against being killed while it saves.

    MMEngine deletes the oldest checkpoint before it writes the next one, writes
    in place (also over the file that ``last_checkpoint`` names, when the score
    has improved), and empties ``last_checkpoint`` before it fills it. A run
    that is killed in between has nothing whole to resume from. Here files are
    written beside (``partial_*``) and moved in place, and what is outdated is
    deleted last. Folders of sharded checkpoints are moved likewise.

    ``FlexibleRunner`` also counts one epoch or iteration too many when it saves
    after validation; this is corrected.

    Takes the arguments of MMEngine's ``CheckpointHook``. On storage other than
    local files, writing is as whole as that storage makes it.
    """

    position: dict[str, int] | None = None
    """Epoch and iteration of what is being saved."""

    def before_train(self, runner: Runner) -> None:
        """Find the place to save to, and clear away what a killed run left half-written there."""
        super().before_train(runner)
        if is_main_process() and isinstance(self.file_backend, LocalBackend):
            for left in Path(self.out_dir).glob(f'{PARTIAL}*'):
                self._delete(str(left))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Set epoch and iteration to what this hook has asked for."""
        if self.position is not None:
            checkpoint['meta'].update(self.position)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save, then point ``last_checkpoint`` to it, then delete what is outdated."""
        outdated = self._keep(runner, step)
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        beside = runner if isinstance(runner, _Beside) else _Beside(runner, self)
        beside.save_checkpoint(
            self.out_dir,
            filename,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        pointer = osp.join(runner.work_dir, 'last_checkpoint')
        partial = osp.join(runner.work_dir, f'{PARTIAL}last_checkpoint')
        with open(partial, 'w') as file:
            file.write(self.last_ckpt)
        os.replace(partial, pointer)
        for old in outdated:
            self._delete(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        super()._save_best_checkpoint(_Beside(runner, self), metrics)

    def _keep(self, runner: Runner, step: int) -> list[int]:
        """Count ``step`` among the checkpoints to keep; return those that fall out."""
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return []
        full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        outdated = [self.keep_ckpt_ids.popleft()] if full else []
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return [old for old in outdated if old != step]

    def _delete(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            self.file_backend.rmtree(path)


class _Beside:
    """A runner, but what it saves is written beside and moved in place.

    Args:
        runner: the runner.
        hook: the hook that saves.
    """

    def __init__(self, runner: Runner, hook: AtomicCheckpointHook) -> None:
        self._runner = runner
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, meta: dict, **kwargs: Any
    ) -> None:
        """Save ``filename`` in ``out_dir``; the other arguments are the runner's."""
        self._hook.position = dict(meta)
        if isinstance(self._hook.file_backend, LocalBackend):
            self._runner.save_checkpoint(
                out_dir, PARTIAL + filename, *args, meta=dict(meta), **kwargs
            )
            self._move(osp.join(out_dir, PARTIAL + filename), osp.join(out_dir, filename))
        else:
            self._runner.save_checkpoint(out_dir, filename, *args, meta=dict(meta), **kwargs)
        self._hook.position = None

    @staticmethod
    def _move(partial: str, path: str) -> None:
        barrier()  # sharded: every process writes a file
        if is_main_process():
            if osp.isdir(path):  # a folder cannot replace one that is not empty
                shutil.rmtree(path)
            os.replace(partial, path)
