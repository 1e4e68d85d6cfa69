"""Embeddings per frame to one embedding per video."""

from mmxclip.models.necks.frame_average import FrameAverage
from mmxclip.models.necks.multi_frame_integration import MultiFrameIntegrationTransformer

__all__ = ['FrameAverage', 'MultiFrameIntegrationTransformer']
