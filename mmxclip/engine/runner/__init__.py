"""Loops over data."""

from mmxclip.engine.runner.loops import ResumableEpochBasedTrainLoop

__all__ = ['ResumableEpochBasedTrainLoop']
