"""Judging predictions."""

from mmxclip.evaluation.metrics import VideoAccMetric

__all__ = ['VideoAccMetric']
