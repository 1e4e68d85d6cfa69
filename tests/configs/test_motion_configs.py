"""The configs of the motion task: what they share, and what the baseline cannot do."""

from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from mmxclip.datasets.motion import SEEN_CLASSES, UNSEEN_CLASSES

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'{name}.py')


@pytest.fixture(scope='module')
def clips():
    """Inputs of two videos, ``(N, M, C, T, H, W)``."""
    return torch.randn(2, 1, 3, 8, 64, 64, generator=torch.Generator().manual_seed(0))


def build(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(load(name).model)
    model.init_weights()
    return model.eval()


def test_the_baseline_differs_in_its_neck_alone():
    ours, baseline = load('xclip_tiny_motion'), load('frame_average_tiny_motion')
    assert baseline.model.pop('neck') == {'type': 'FrameAverage'}
    ours.model.pop('neck')
    assert ours.to_dict() == baseline.to_dict()


@pytest.mark.parametrize(
    ('name', 'classes', 'split'),
    [
        ('xclip_tiny_motion', SEEN_CLASSES, 'val'),
        ('frame_average_tiny_motion', SEEN_CLASSES, 'val'),
        ('xclip_tiny_motion_zeroshot', UNSEEN_CLASSES, 'unseen'),
        ('frame_average_tiny_motion_zeroshot', UNSEEN_CLASSES, 'unseen'),
    ],
)
def test_names_of_the_model_are_those_of_the_data(name, classes, split):
    assert build(name).cls_head.classes == classes
    assert load(name).test_dataloader.dataset.split == split


@torch.no_grad()
@pytest.mark.parametrize(
    ('name', 'knows'), [('xclip_tiny_motion', True), ('frame_average_tiny_motion', False)]
)
def test_only_the_neck_knows_the_order_of_frames(clips, name, knows):
    """Played backwards, left is right: without order, at most one of the two can be had."""
    model = build(name)
    forwards = model(clips, mode='tensor', stage='head')
    backwards = model(clips.flip(3), mode='tensor', stage='head')
    assert torch.allclose(forwards, backwards, atol=1e-3) != knows


@torch.no_grad()
def test_it_starts_from_the_shipped_weights(clips):
    model = build('xclip_tiny_motion')
    again = MODELS.build(load('xclip_tiny_motion').model)
    again.init_weights()
    first, second = model.state_dict(), again.state_dict()
    same = {key for key in first if torch.equal(first[key], second[key])}
    assert 'backbone.proj' in same
    assert 'cls_head.text_encoder.tower.token_embedding.weight' in same
    assert 'backbone.blocks.0.message_fc.weight' not in same
