"""Starting points: weights of image-text models."""

from mmxclip.models.weights.open_clip_pretrained import OpenCLIPPretrained

__all__ = ['OpenCLIPPretrained']
