"""Metrics that MMAction2 lacks."""

from mmxclip.evaluation.metrics.video_acc_metric import VideoAccMetric

__all__ = ['VideoAccMetric']
