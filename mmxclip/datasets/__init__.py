"""Datasets and the order and state in which they are read."""

from mmxclip.datasets.labelled_video_dataset import LabelledVideoDataset
from mmxclip.datasets.motion_dataset import MotionDataset
from mmxclip.datasets.resumable_sampler import ResumableSampler
from mmxclip.datasets.seeded import SeededDataset

__all__ = ['LabelledVideoDataset', 'MotionDataset', 'ResumableSampler', 'SeededDataset']
