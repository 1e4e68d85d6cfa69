"""Video embedding, patch features and class names to logits."""

from mmxclip.models.heads.video_prompt_head import VideoPromptHead

__all__ = ['VideoPromptHead']
