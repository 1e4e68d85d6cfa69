"""Pictures of runs and of predictions."""

from mmxclip.visualization.prediction_hook import PredictionVisualizationHook
from mmxclip.visualization.prediction_visualizer import PredictionVisualizer

__all__ = ['PredictionVisualizationHook', 'PredictionVisualizer']
