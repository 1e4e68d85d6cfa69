"""Counts against those of the research code and of the papers."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmxclip.errors import ConfigError
from mmxclip.zoo import published_models
from mmxclip.zoo.compute import cost_of

CONFIGS = Path(__file__).parents[2] / 'configs'
RESEARCH_CODE = {  # 1e9 multiply-adds of one view with 400 classes; parameters; trained ones
    'xclip_b32_k400': (38.16, 196_585_729, 133_157_632),
    'xclip_b32_f16_k400': (74.14, None, None),
    'xclip_b16_k400': (144.18, 194_929_153, 131_501_056),
    'xclip_b16_f16_k400': (285.90, None, None),
    'xclip_b16_f32_k400': (569.35, None, None),
    'xclip_l14_k400': (657.42, 575_673_601, 452_023_296),
    'xclip_l14_336_f16_k400': (3074.05, 576_007_425, 452_357_120),
}
TEXT = {'b': 1192, 'l': 2660}


def model_of(name):
    return Config.fromfile(CONFIGS / f'{name}.py').model


@pytest.mark.parametrize('name', RESEARCH_CODE)
def test_published_models(name):
    macs, parameters, trainable = RESEARCH_CODE[name]
    cost = cost_of(model_of(name))
    assert cost.macs_as_published / 1e9 == pytest.approx(macs, abs=0.006)  # all digits known
    assert cost.macs == pytest.approx(cost.macs_as_published, rel=0.006)  # what is left out
    assert cost.macs < cost.macs_as_published
    assert cost.macs_as_published / 1e9 == pytest.approx(published_models()[name].gflops, rel=0.03)
    assert cost.text_macs / 1e9 == pytest.approx(TEXT[name[6]], rel=5e-4)
    if parameters:
        assert (cost.parameters, cost.trainable) == (parameters, trainable)


def test_other_numbers_of_classes():
    few, many = (cost_of(model_of('xclip_tiny_motion'), number) for number in (3, 300))
    assert (few.num_classes, many.num_classes) == (3, 300)
    assert few.macs < many.macs
    assert 100 * few.text_macs == many.text_macs


def test_a_list_of_classes_need_not_exist():
    assert cost_of(model_of('xclip_b16_f32_k600_zeroshot'), 160).frames == 32


def test_a_neck_that_averages():
    ours, average = (
        cost_of(model_of(f'{name}_tiny_motion')) for name in ('xclip', 'frame_average')
    )
    assert average.frames == ours.frames == 8
    assert average.macs < ours.macs


def test_the_config_stays_as_it_is():
    model = model_of('xclip_b32_k400')
    before = model.to_dict()
    cost_of(model, 5)
    assert model.to_dict() == before


def test_other_models_are_refused():
    model = dict(
        type='Recognizer2D',
        backbone=dict(type='ResNet', depth=18),
        cls_head=dict(type='TSNHead', num_classes=3, in_channels=512),
    )
    with pytest.raises(ConfigError, match='the config has Recognizer2D, ResNet and TSNHead'):
        cost_of(model)
