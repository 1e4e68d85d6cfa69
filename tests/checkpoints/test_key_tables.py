from __future__ import annotations

import open_clip
import pytest
import torch
from golden import golden_config
from mmaction.registry import MODELS
from torch import Tensor, nn

from mmxclip.checkpoints.key_tables import (
    OFFICIAL,
    OPEN_CLIP_TEXT,
    OPEN_CLIP_VISION,
    KeyTable,
    list_keys,
)
from mmxclip.errors import CheckpointError

TABLE = KeyTable(
    [
        ('scale', 'head.scale'),
        ('blocks.{i}.mlp.{j}.weight', 'layers.{i}.fc{j}.weight'),
        ('blocks.{i}.ln', 'layers.{i}.norm'),
    ]
)


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        ('scale', 'head.scale'),
        ('blocks.0.mlp.3.weight', 'layers.0.fc3.weight'),
        ('blocks.11.mlp.0.weight', 'layers.11.fc0.weight'),
        ('blocks.4.ln', 'layers.4.norm'),
    ],
)
def test_both_directions(theirs, ours):
    assert TABLE.rename(theirs) == ours
    assert TABLE.inverse().rename(ours) == theirs


@pytest.mark.parametrize(
    'key',
    ['scales', 'xscale', 'blocks.a.ln', 'blocks..ln', 'blocksx0.ln', 'blocks.0.ln.weight', ''],
)
def test_only_whole_names_match(key):
    """Dots are dots, numbers are numbers, and nothing may stand before or after."""
    assert TABLE.rename(key) is None


class TestConvert:
    STATE = {'scale': torch.ones(1), 'blocks.0.ln': torch.zeros(2)}

    def test_values_are_passed_on(self):
        converted = TABLE.convert(self.STATE)
        assert list(converted) == ['head.scale', 'layers.0.norm']
        assert converted['head.scale'] is self.STATE['scale']

    def test_unknown_keys_are_listed(self):
        state = {**self.STATE, **{f'extra{i}': torch.zeros(1) for i in range(7)}}
        match = r'7 of 9 keys are not known: extra0, .*extra4 and 2 more; the file holds another'
        with pytest.raises(CheckpointError, match=match):
            TABLE.convert(state)

    def test_unknown_keys_can_be_left_out(self):
        state = {'extra': torch.zeros(1), **self.STATE}
        assert list(TABLE.convert(state, ignore_unknown=True)) == ['head.scale', 'layers.0.norm']


class TestFill:
    """All or nothing."""

    def module(self) -> nn.Module:
        module = nn.Module()
        module.layers = nn.ModuleList([nn.Module()])
        module.layers[0].norm = nn.Parameter(torch.zeros(2))
        module.head = nn.Module()
        module.head.scale = nn.Parameter(torch.zeros(3))
        module.new = nn.Parameter(torch.zeros(4))  # of which the table does not know
        return module

    def state(self) -> dict[str, Tensor]:
        return {'layers.0.norm': torch.ones(2), 'head.scale': torch.full((3,), 2.0)}

    def test_known_parameters_alone(self):
        module = self.module()
        TABLE.fill(module, self.state())
        assert module.layers[0].norm.tolist() == [1, 1]
        assert module.head.scale.tolist() == [2, 2, 2]
        assert module.new.tolist() == [0, 0, 0, 0]

    def test_dtype_of_the_module_stays(self):
        module = self.module()
        TABLE.fill(module, {key: value.half() for key, value in self.state().items()})
        assert module.head.scale.dtype == torch.float32

    @pytest.mark.parametrize(
        ('change', 'match'),
        [
            ({'head.scale': None}, r'Module: 1 of 2 tensors are missing: head.scale; the file'),
            ({'head.scale': torch.ones(5)}, r'shapes differ: head.scale \(5,\) for \(3,\)'),
            ({'layers.1.norm': torch.ones(2)}, r'tensors that the model lacks: layers.1.norm'),
            (
                {'layers.1.norm': torch.ones(2), 'head.scale': torch.ones(5)},
                r'shapes differ: head.scale .*; tensors that the model lacks: layers.1.norm',
            ),
        ],
    )
    def test_misfits(self, change, match):
        state = {key: value for key, value in (self.state() | change).items() if value is not None}
        module = self.module()
        with pytest.raises(CheckpointError, match=match):
            TABLE.fill(module, state)
        assert not any(parameter.any() for parameter in module.parameters())


def test_long_lists_are_cut():
    assert list_keys(list('abc')) == 'a, b, c'
    assert list_keys(list('abcdefg')) == 'a, b, c, d, e and 2 more'


ALL = {'vision': OPEN_CLIP_VISION, 'text': OPEN_CLIP_TEXT, 'official': OFFICIAL}


@pytest.mark.parametrize('table', ALL.values(), ids=ALL)
class TestTables:
    def test_names_are_given_once(self, table):
        for side in zip(*table.pairs, strict=True):
            assert len(set(side)) == len(side)

    def test_no_rule_hides_another(self, table):
        """Each name is answered by its own rule, in both directions."""
        for direction in (table, table.inverse()):
            for theirs, ours in direction.pairs:
                assert direction.rename(theirs.replace('{i}', '7')) == ours.replace('{i}', '7')


@pytest.fixture(scope='module')
def small_clip() -> dict[str, Tensor]:
    model = open_clip.CLIP(
        24,
        vision_cfg=dict(image_size=12, patch_size=4, width=20, layers=2, head_width=10),
        text_cfg=dict(context_length=13, width=16, heads=4, layers=3, vocab_size=64),
    )
    return model.state_dict()


def test_the_two_towers_share_out_an_image_text_model(small_clip):
    """Every tensor belongs to one of them, except the temperature."""
    vision = {key for key in small_clip if OPEN_CLIP_VISION.rename(key)}
    text = {key for key in small_clip if OPEN_CLIP_TEXT.rename(key)}
    assert not vision & text
    assert set(small_clip) - vision - text == {'logit_scale'}
    assert len(vision) == 8 + 2 * 12
    assert len(text) == 5 + 3 * 12


def test_the_authors_names_contain_clips(small_clip):
    """The authors' files name the image-text part as CLIP does."""
    assert all(OFFICIAL.rename(key) for key in small_clip)


def test_official_table_names_the_whole_model():
    """One to one onto the state dict of XCLIP, with the kinds of tensors that the authors have."""
    own = MODELS.build(golden_config()).state_dict()
    theirs = OFFICIAL.inverse().convert(own)
    assert len(theirs) == len(own) == 123
    assert list(OFFICIAL.convert(theirs)) == list(own)
    assert not any(key.startswith(('backbone.', 'neck.', 'cls_head.')) for key in theirs)
    count = {
        prefix: sum(key.startswith(prefix) for key in theirs)
        for prefix in ('visual.', 'mit.', 'prompts_generator.', 'prompts_visual_', 'transformer.')
    }
    assert count == {
        'visual.': 8 + 2 * 20,
        'mit.': 13,
        'prompts_generator.': 29,
        'prompts_visual_': 3,
        'transformer.': 2 * 12,
    }


@pytest.mark.parametrize(
    ('theirs', 'ours'),
    [
        ('visual.conv1.weight', 'backbone.patch_embed.weight'),
        (
            'visual.transformer.resblocks.11.message_attn.in_proj_bias',
            'backbone.blocks.11.message_attn.qkv.bias',
        ),
        ('visual.transformer.resblocks.3.message_ln.bias', 'backbone.blocks.3.message_norm.bias'),
        ('mit.positional_embedding', 'neck.positional_embedding'),
        ('mit.resblocks.0.mlp.c_proj.bias', 'neck.blocks.0.mlp.fc2.bias'),
        ('prompts_visual_proj', 'cls_head.prompt.patch_proj'),
        ('prompts_generator.alpha', 'cls_head.prompt.alpha'),
        (
            'prompts_generator.decoder.1.cross_attn.proj.bias',
            'cls_head.prompt.layers.1.attn.out_proj.bias',
        ),
        ('prompts_generator.decoder.0.norm3.weight', 'cls_head.prompt.layers.0.norm2.weight'),
        ('prompts_generator.decoder.1.mlp.3.weight', 'cls_head.prompt.layers.1.mlp.fc2.weight'),
        (
            'transformer.resblocks.9.attn.in_proj_weight',
            'cls_head.text_encoder.tower.transformer.resblocks.9.attn.in_proj_weight',
        ),
        ('positional_embedding', 'cls_head.text_encoder.tower.positional_embedding'),
        ('logit_scale', 'cls_head.logit_scale'),
    ],
)
def test_official_names(theirs, ours):
    assert OFFICIAL.rename(theirs) == ours


@pytest.mark.parametrize(
    'key',
    [
        'visual.transformer.resblocks.0.message_attn.in_proj.bias',
        'prompts_generator.decoder.0.norm2.weight',
        'prompts_generator.decoder.0.cross_attn.q_proj.bias',
        'visual.conv1.bias',
    ],
)
def test_names_that_the_authors_do_not_have(key):
    assert OFFICIAL.rename(key) is None
