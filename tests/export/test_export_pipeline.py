"""Steps that a file carries: those of the config, and nothing that could do harm."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mmxclip.apis.config_names import find_config, shipped_configs
from mmxclip.errors import DataError
from mmxclip.export.pipeline import plain_steps, preparation


@pytest.mark.parametrize('name', [name for name in shipped_configs() if '_k400' in name])
def test_every_published_pipeline_is_plain(name):
    steps = plain_steps(Config.fromfile(find_config(name)))
    kinds = [step['type'] for step in steps]
    assert kinds == [
        'RobustDecordInit',
        'SegmentSampleFrames',
        'RobustDecordDecode',
        'Resize',
        'CenterCrop',
        'FormatShape',
        'PackActionInputs',
    ]
    assert steps[1]['test_mode'] is True


def test_steps_of_ones_own_are_left_out():
    steps = [{'type': 'DecordInit'}, {'type': 'my.Own', 'a': 1}]
    assert plain_steps(Config({'val_pipeline': steps})) is None


def test_an_argument_that_is_not_known_is_not_dropped():
    steps = [{'type': 'SampleFrames', 'clip_len': 2, 'out_of_bound_opt': 'loop'}]
    assert plain_steps(Config({'val_pipeline': steps})) is None


@pytest.mark.parametrize(
    'step',
    [
        {'type': 'subprocess.Popen', 'args': 'touch x'},
        {'type': 'mmengine.Resize'},
        {'type': 'Resize', 'scale': {'type': 'os.system'}},
        {'type': 'Resize', 'lazy': True},
        {'type': ['Resize']},
        {'scale': 3},
        'Resize',
        3,
    ],
)
def test_nothing_else_is_built(step):
    with pytest.raises(DataError, match=r'x.onnx asks for .* in its pipeline, which no export'):
        preparation([{'type': 'CenterCrop', 'crop_size': 3}, step], 'x.onnx')


def test_values_that_a_transform_refuses():
    with pytest.raises(DataError, match=r'x.onnx has a pipeline that cannot be built \(Scale'):
        preparation([{'type': 'Resize', 'scale': 'wide'}], 'x.onnx')
