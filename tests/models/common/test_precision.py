"""Autocast is off where it could be on, and not asked for where it cannot."""

import torch

from mmxclip.models.common.precision import without_autocast


def test_off_within_autocast():
    a = torch.ones(2, 2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        with without_autocast(a.device):
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16


def test_meta_device():
    a = torch.ones(2, 2, device='meta')
    with without_autocast(a.device):
        assert (a @ a).is_meta
