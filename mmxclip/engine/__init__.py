"""Optimizers, hooks and loops: how a model is trained."""

from mmxclip.engine import fsdp
from mmxclip.engine.optimizers import CPUAmpOptimWrapper, XCLIPOptimWrapperConstructor

__all__ = ['CPUAmpOptimWrapper', 'XCLIPOptimWrapperConstructor', 'fsdp']
