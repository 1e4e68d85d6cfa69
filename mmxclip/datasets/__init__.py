"""Datasets and the order and state in which they are read."""

from mmxclip.datasets.resumable_sampler import ResumableSampler
from mmxclip.datasets.seeded import SeededDataset

__all__ = ['ResumableSampler', 'SeededDataset']
