from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from mmxclip.checkpoints.state_dicts import load_state_dict, unwrap
from mmxclip.errors import CheckpointError

STATE = {'a.weight': torch.arange(6.0).reshape(2, 3), 'b': torch.tensor(2.5)}


@pytest.mark.parametrize(
    'checkpoint',
    [
        STATE,
        OrderedDict(STATE),
        dict(state_dict=STATE, meta=dict(epoch=3)),
        dict(model=STATE, optimizer=dict(lr=0.1), epoch=3),
        dict(state_dict=dict(model=STATE)),
        {f'module.{key}': value for key, value in STATE.items()},
        dict(state_dict={f'module.{key}': value for key, value in STATE.items()}),
        {**STATE, 'input_resolution': torch.tensor(224), 'vocab_size': torch.tensor(9)},
        {**STATE, 'version': 3, 'note': 'text'},
    ],
    ids=[
        'plain',
        'ordered',
        'state_dict',
        'model',
        'state_dict-model',
        'module',
        'state_dict-module',
        'numbers-of-openai',
        'no-tensors-beside',
    ],
)
def test_wrappings(checkpoint):
    state = unwrap(checkpoint, 'a.pth')
    assert set(state) == set(STATE)
    assert all(state[key] is STATE[key] for key in STATE)


def test_a_tensor_named_like_a_wrapping_is_a_tensor():
    assert set(unwrap({'model': torch.ones(1)}, 'a.pth')) == {'model'}


@pytest.mark.parametrize(
    'checkpoint', [{}, dict(state_dict={}), dict(epoch=3), [torch.ones(1)], torch.ones(1), None]
)
def test_no_weights(checkpoint):
    kind = type(checkpoint).__name__
    match = rf'a.pth holds no weights \(a {kind}\); expected a state dict, .*state_dict or model'
    with pytest.raises(CheckpointError, match=match):
        unwrap(checkpoint, 'a.pth')


@pytest.mark.parametrize('name', ['a.safetensors', 'a.pth', 'a.bin'])
def test_files(tmp_path, name):
    path = tmp_path / name
    if path.suffix == '.safetensors':
        save_file(STATE, path)
    else:
        torch.save(dict(state_dict=STATE), path)
    for given in (path, str(path)):
        state = load_state_dict(given)
        assert set(state) == set(STATE)
        assert all(torch.equal(state[key], STATE[key]) for key in STATE)


@pytest.mark.filterwarnings('ignore:.*jit.*')
def test_archives(tmp_path):
    """As OpenAI publishes its models; numbers beside the weights are left out."""
    module = torch.nn.Linear(3, 2)
    module.register_buffer('input_resolution', torch.tensor(224))
    path = tmp_path / 'archive.pt'
    torch.jit.save(torch.jit.script(module), path)
    state = load_state_dict(path)
    assert set(state) == {'weight', 'bias'}
    assert torch.equal(state['weight'], module.weight)


def test_absent(tmp_path):
    with pytest.raises(CheckpointError, match=r'absent.pth does not exist'):
        load_state_dict(tmp_path / 'absent.pth')
