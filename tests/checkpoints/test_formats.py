from __future__ import annotations

import pytest
import small_weights as small
import torch

from mmxclip.checkpoints.formats import FORMATS, is_known, recognise
from mmxclip.errors import CheckpointError


@pytest.mark.parametrize('name', FORMATS)
def test_each_format_is_recognised(name):
    assert recognise(small.weights(name)).name == name


@pytest.mark.parametrize('keep', ['mit.', 'prompts_', 'message_'])
def test_any_part_that_xclip_adds_tells_the_authors_files(keep):
    clip = small.weights('open_clip')
    added = {key: value for key, value in small.weights('official').items() if keep in key}
    assert recognise({**clip, **added}).name == 'official'


def test_a_text_tower_apart_is_open_clips():
    state = {
        key if key.startswith('visual.') or key == 'logit_scale' else f'text.{key}': value
        for key, value in small.weights('open_clip').items()
    }
    assert recognise(state).name == 'open_clip'


@pytest.mark.parametrize(
    ('state', 'listed'),
    [
        ({}, '0 tensors: none'),
        (
            {'backbone.conv1.weight': 0, 'cls_head.fc_cls.bias': 0},
            'backbone.conv1.weight, cls_head',
        ),
        ({'logit_scale': 0, 'prompts_generator.alpha': 0}, 'logit_scale, prompts_generator.alpha'),
        ({f'layer{i}.weight': 0 for i in range(9)}, 'layer4.weight and 4 more'),
    ],
)
def test_unknown_keys_are_listed(state, listed):
    with pytest.raises(CheckpointError, match=listed) as caught:
        recognise(state)
    for name in FORMATS:
        assert f'({name})' in str(caught.value)


def test_mixed_formats_are_counted():
    mixed = {**small.weights('hf'), 'mit.positional_embedding': torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"mixes formats: .* 1 of the authors' X-CLIP"):
        recognise(mixed)


@pytest.mark.parametrize(
    ('key', 'known'),
    [
        ('visual.proj', True),
        ('vision_model.embeddings.class_embedding', True),
        ('backbone.proj', True),
        ('text.ln_final.bias', True),
        ('logit_scale', False),  # in two formats
        ('backbone.conv1.weight', False),
    ],
)
def test_known_keys(key, known):
    assert is_known(key) is known


@pytest.mark.parametrize('name', FORMATS)
def test_way_there_and_back(name):
    """Each format's own functions undo each other."""
    entry, state = FORMATS[name], small.weights(name)
    back = entry.from_own(entry.to_own(state))
    dropped = {'input_resolution', 'context_length', 'vocab_size'}
    assert back.keys() == state.keys() - dropped
    assert all(torch.equal(value, state[key]) for key, value in back.items())
