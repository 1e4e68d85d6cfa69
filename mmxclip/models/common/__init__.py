"""What more than one room of the models shares."""

from mmxclip.models.common.attention import CrossAttention, SelfAttention
from mmxclip.models.common.features import (
    FrameFeatures,
    VideoFeatures,
    to_frame_features,
    to_video_features,
)
from mmxclip.models.common.transformer import MLP, QuickGELU, TransformerBlock, activation

__all__ = [
    'MLP',
    'CrossAttention',
    'FrameFeatures',
    'QuickGELU',
    'SelfAttention',
    'TransformerBlock',
    'VideoFeatures',
    'activation',
    'to_frame_features',
    'to_video_features',
]
