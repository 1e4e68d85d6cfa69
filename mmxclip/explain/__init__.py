"""Where and when a model looked."""

from mmxclip.explain.attention import LayerAttention, attention_weights, recorded_attention
from mmxclip.explain.rollout import attention_rollout, layer_step

__all__ = [
    'LayerAttention',
    'attention_rollout',
    'attention_weights',
    'layer_step',
    'recorded_attention',
]
