"""What happens besides the steps of training."""

from mmxclip.engine.hooks.bad_videos_hook import BadVideosHook
from mmxclip.engine.hooks.class_names_check import ClassNamesCheckHook
from mmxclip.engine.hooks.resumable_checkpoint import ResumableCheckpointHook
from mmxclip.engine.hooks.training_state import TrainingStateHook

__all__ = ['BadVideosHook', 'ClassNamesCheckHook', 'ResumableCheckpointHook', 'TrainingStateHook']
