"""Steps of a data pipeline that MMAction2 lacks."""

from mmxclip.datasets.transforms.color_jitter import RandomColorJitter
from mmxclip.datasets.transforms.decoding import RobustDecordDecode, RobustDecordInit
from mmxclip.datasets.transforms.sampling import SegmentSampleFrames

__all__ = ['RandomColorJitter', 'RobustDecordDecode', 'RobustDecordInit', 'SegmentSampleFrames']
