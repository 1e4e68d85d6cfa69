"""Class names to one embedding per class."""

from mmxclip.models.text.clip_text_encoder import CLIPTextEncoder
from mmxclip.models.text.text_features import TextFeatureCache

__all__ = ['CLIPTextEncoder', 'TextFeatureCache']
