"""A data set for runs of a few seconds; configs beside it import it by name."""

import torch
from mmaction.registry import DATASETS
from mmaction.structures import ActionDataSample
from torch.utils.data import Dataset

from mmxclip.errors import DataError


@DATASETS.register_module()
class TintedNoise(Dataset):
    """Noise whose mean brightness is its class.

    Args:
        number: clips, half of them dark, half bright.
        shape: of a clip, uint8.
        broken: index of a clip that cannot be read.
    """

    metainfo = {'classes': ('dark', 'bright')}

    def __init__(self, number=8, shape=(2, 3, 32, 32), broken=None):
        self.number = number
        self.shape = shape
        self.broken = broken

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        if index == self.broken:
            raise DataError(f'video clips/{index}.mp4 cannot be opened; re-encode or remove it')
        label = index % 2
        generator = torch.Generator().manual_seed(index)
        noise = torch.randint(0, 128, self.shape, generator=generator, dtype=torch.uint8)
        return {
            'inputs': noise + 120 * label,
            'data_samples': ActionDataSample().set_gt_label(label),
        }
