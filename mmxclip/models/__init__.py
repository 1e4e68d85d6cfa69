"""The model's components; importing this package registers all of them."""

from mmxclip.models.backbones import CrossFrameViT
from mmxclip.models.heads import VideoPromptHead
from mmxclip.models.necks import FrameAverage, MultiFrameIntegrationTransformer
from mmxclip.models.recognizers import XCLIP
from mmxclip.models.text import CLIPTextEncoder
from mmxclip.models.weights import OpenCLIPPretrained

__all__ = [
    'XCLIP',
    'CLIPTextEncoder',
    'CrossFrameViT',
    'FrameAverage',
    'MultiFrameIntegrationTransformer',
    'OpenCLIPPretrained',
    'VideoPromptHead',
]
