"""How parameters are grouped and updated."""

from mmxclip.engine.optimizers.cpu_amp import CPUAmpOptimWrapper
from mmxclip.engine.optimizers.xclip_constructor import XCLIPOptimWrapperConstructor

__all__ = ['CPUAmpOptimWrapper', 'XCLIPOptimWrapperConstructor']
