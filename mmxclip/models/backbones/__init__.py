"""Frames to an embedding per frame and patch features."""

from mmxclip.models.backbones.cross_frame_vit import CrossFrameViT

__all__ = ['CrossFrameViT']
