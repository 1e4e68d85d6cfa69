"""What happens besides the steps of training."""

from mmxclip.engine.hooks.atomic_checkpoint import AtomicCheckpointHook
from mmxclip.engine.hooks.training_state import TrainingStateHook

__all__ = ['AtomicCheckpointHook', 'TrainingStateHook']
