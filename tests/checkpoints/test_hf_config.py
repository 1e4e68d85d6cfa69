from __future__ import annotations

import json

import pytest

from mmxclip.checkpoints.hf_config import (
    check_config,
    heads_of,
    make_config,
    other_heads,
    read_config,
    usual_heads,
)
from mmxclip.errors import CheckpointError

L14 = dict(
    width=1024, patch_size=14, grid_size=16, joint_width=768, text_width=768,
    context_length=77, vocab_size=49408, num_frames=8,
    num_layers=24, neck_layers=1, prompt_layers=2, text_layers=12,
)  # fmt: skip
USUAL = dict(backbone=16, neck=12, prompt=12, text_encoder=12)


def test_one_head_per_64_channels():
    assert usual_heads(L14) == USUAL
    assert heads_of(make_config(L14)) == USUAL
    assert usual_heads(L14 | dict(width=32))['backbone'] == 1


def test_heads_of_the_published_l14():
    config = make_config(L14, dict(neck=8, prompt=8))
    assert heads_of(config) == USUAL | dict(neck=8, prompt=8)
    assert other_heads(config, L14) == dict(neck=8, prompt=8)
    assert other_heads(make_config(L14), L14) == {}


def test_values_left_unwritten_are_their_defaults():
    assert heads_of({}) == dict(backbone=12, neck=8, prompt=8, text_encoder=8)


def test_sections_of_old_files():
    """They carry each section twice, of which transformers takes the second."""
    config = make_config(L14)
    config['vision_config_dict'] = dict(mit_num_attention_heads=6)
    config['text_config_dict'] = None
    assert heads_of(config) == USUAL | dict(neck=6)


class TestReading:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / 'config.json').write_text(json.dumps(make_config(L14)), encoding='utf-8-sig')
        return tmp_path

    def test_beside_the_weights(self, folder):
        assert read_config(folder / 'model.safetensors') == make_config(L14)

    def test_none(self, tmp_path):
        assert read_config(tmp_path / 'model.safetensors') is None

    @pytest.mark.parametrize(
        ('content', 'message'),
        [
            ('{"model_type": "clip"}', "describes a 'clip', expected model_type 'xclip'"),
            ('{}', 'describes a None'),
            ('[]', "describes a 'list'"),
            ('{"model_type": ', 'cannot be read as JSON'),
        ],
    )
    def test_of_another_kind(self, tmp_path, content, message):
        (tmp_path / 'config.json').write_text(content)
        with pytest.raises(CheckpointError, match=message):
            read_config(tmp_path / 'model.safetensors')


class TestFit:
    def test_same_sizes(self):
        check_config(make_config(L14, dict(neck=8)), L14)

    def test_a_config_that_leaves_defaults_unwritten(self):
        check_config({'model_type': 'xclip'}, L14)

    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            (dict(num_layers=23), 'num_hidden_layers 24 for 23 '),
            (dict(text_layers=11), 'num_hidden_layers 12 for 11 '),
            (dict(prompt_layers=1, num_frames=16), 'num_frames 8 for 16, prompt_layers 2 for 1 '),
            (dict(grid_size=24), 'image_size 224 for 336 '),
        ],
    )
    def test_other_sizes(self, changes, message):
        with pytest.raises(CheckpointError, match=message):
            check_config(make_config(L14), L14 | changes)
