"""Learning rates over time."""

from mmxclip.engine.schedulers.warmup_cosine import LinearWarmupCosineLR

__all__ = ['LinearWarmupCosineLR']
