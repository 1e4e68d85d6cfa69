"""The config's own pipeline, found and changed as little as possible."""

import pytest
from mmengine.config import Config

from mmxclip.apis.config_names import find_config
from mmxclip.errors import ConfigError
from mmxclip.inference.pipelines import for_files, for_frames, own_steps

VAL = [dict(type='mmxclip.RobustDecordInit', on_error='count', timeout=9), dict(type='A')]
TEST = [dict(type='DecordInit'), dict(type='DecordDecode'), dict(type='ThreeCrop', crop_size=7)]


def loader(pipeline):
    return dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=pipeline)))


@pytest.mark.parametrize(
    ('cfg', 'views', 'expected'),
    [
        (dict(val_dataloader=loader(VAL), test_dataloader=loader(TEST)), 'one', VAL),
        (dict(val_dataloader=loader(VAL), test_dataloader=loader(TEST)), 'config', TEST),
        (dict(val_dataloader=loader(VAL), val_pipeline=TEST), 'one', VAL),
        (dict(test_pipeline=TEST), 'config', TEST),
        (dict(test_dataloader=loader(VAL), val_dataloader=None), 'one', VAL),
    ],
)
def test_which_pipeline(cfg, views, expected):
    assert own_steps(Config(cfg), views) == expected


def test_one_view():
    steps = own_steps(Config(dict(test_pipeline=TEST)))
    assert steps[-1] == dict(type='CenterCrop', crop_size=7)


def test_none_is_refused():
    with pytest.raises(ConfigError, match='no pipeline for validation or testing'):
        own_steps(Config(dict(train_pipeline=VAL)))


def test_files_are_opened_safely():
    first = for_files(VAL)[0]
    assert first == dict(type='mmxclip.RobustDecordInit', on_error='raise', timeout=9, isolate=True)
    kinds = [step['type'] for step in for_files(TEST)]
    assert kinds == ['RobustDecordInit', 'RobustDecordDecode', 'ThreeCrop']
    assert VAL[0]['on_error'] == 'count'


def test_frames_are_not_opened():
    assert [step['type'] for step in for_frames(TEST)] == ['ArrayDecode', 'ThreeCrop']


@pytest.mark.parametrize(
    ('name', 'clips', 'size'), [('xclip_b16_k400', 8, 224), ('xclip_l14_336_f16_k400', 16, 336)]
)
def test_shipped_configs(name, clips, size):
    one = own_steps(Config.fromfile(find_config(name)))
    many = own_steps(Config.fromfile(find_config(name)), 'config')
    assert (one[1]['clip_len'], one[1]['num_clips']) == (clips, 1)
    assert one[4] == dict(type='CenterCrop', crop_size=size)
    assert many[1]['num_clips'] == 4
    assert many[4]['type'] == 'ThreeCrop'
