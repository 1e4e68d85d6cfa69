"""Where and when a model looked."""

from mmxclip.explain.attention import LayerAttention, attention_weights, recorded_attention
from mmxclip.explain.rollout import attention_rollout, layer_step
from mmxclip.explain.scores import PromptEffect, frame_contributions, frame_parts, prompt_effect

__all__ = [
    'LayerAttention',
    'PromptEffect',
    'attention_rollout',
    'attention_weights',
    'frame_contributions',
    'frame_parts',
    'layer_step',
    'prompt_effect',
    'recorded_attention',
]
