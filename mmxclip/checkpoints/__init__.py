"""Weights: read without running code, told apart by their keys, converted exactly."""

from mmxclip.checkpoints.architecture import infer_architecture
from mmxclip.checkpoints.convert import convert_state_dict
from mmxclip.checkpoints.files import load
from mmxclip.checkpoints.hf_config import heads_of

__all__ = ['convert_state_dict', 'heads_of', 'infer_architecture', 'load']
