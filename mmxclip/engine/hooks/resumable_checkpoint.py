"""Something whole to resume from, whenever a run is killed."""

from __future__ import annotations

import os.path as osp
from pathlib import Path

from mmengine.dist import barrier, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmxclip.compat import PARTIAL
from mmxclip.registry import HOOKS


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """MMEngine's hook, safe against being killed at any moment.

    MMEngine deletes the oldest checkpoint before it writes the next one, and
    empties ``last_checkpoint`` before it fills it; a run that is killed in
    between has nothing to resume from. Here a checkpoint is saved first, by
    all processes, then named, and what is outdated is deleted last. (That a
    single file is whole or absent is seen to by :mod:`mmxclip.compat`.)

    ``FlexibleRunner`` also counts one epoch or iteration too many when it saves
    after validation; this is corrected.

    Takes the arguments of MMEngine's ``CheckpointHook``.
    """

    _position: dict[str, int] | None = None
    """Epoch and iteration of what is being saved."""

    def before_train(self, runner: Runner) -> None:
        """Find the place to save to, and clear away what a killed run left half-written there."""
        super().before_train(runner)
        if is_main_process() and isinstance(self.file_backend, LocalBackend):
            for left in Path(self.out_dir).glob(f'{PARTIAL}*'):
                self._delete(str(left))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Set epoch and iteration to what this hook has asked for."""
        if self._position is not None:
            checkpoint['meta'].update(self._position)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save, then point ``last_checkpoint`` to it, then delete what is outdated."""
        outdated = self._keep(runner, step)
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        outer = self._position  # set when the best score was saved just now
        self._position = outer or dict(meta)
        runner.save_checkpoint(
            self.out_dir,
            filename,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=dict(self._position),
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._position = outer
        barrier()  # a sharded checkpoint is whole when the last process has written its file
        if not is_main_process():
            return
        pointer = osp.join(runner.work_dir, 'last_checkpoint')
        LocalBackend().put(self.last_ckpt.encode(), pointer)
        for old in outdated:
            self._delete(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        self._position = dict(epoch=runner.epoch, iter=runner.iter)
        super()._save_best_checkpoint(runner, metrics)
        self._position = None

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
