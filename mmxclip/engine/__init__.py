"""Optimizers, hooks and loops: how a model is trained."""

from mmxclip.engine import fsdp
from mmxclip.engine.hooks import (
    BadVideosHook,
    ClassNamesCheckHook,
    ResumableCheckpointHook,
    TrainingStateHook,
)
from mmxclip.engine.optimizers import CPUAmpOptimWrapper, XCLIPOptimWrapperConstructor
from mmxclip.engine.runner import ResumableEpochBasedTrainLoop
from mmxclip.engine.schedulers import LinearWarmupCosineLR

__all__ = [
    'BadVideosHook',
    'CPUAmpOptimWrapper',
    'ClassNamesCheckHook',
    'LinearWarmupCosineLR',
    'ResumableCheckpointHook',
    'ResumableEpochBasedTrainLoop',
    'TrainingStateHook',
    'XCLIPOptimWrapperConstructor',
    'fsdp',
]
