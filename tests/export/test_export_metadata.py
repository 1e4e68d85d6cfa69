"""What a file says of itself: exact there and back, and refused when it makes no sense."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from mmxclip.errors import DataError
from mmxclip.export.metadata import Metadata, weights_hash

METADATA = Metadata(
    version='1',
    config='x',
    weights='0' * 64,
    classes=('跳水', 'a "dive"'),
    embed_dims=5,
    frames_dtype='float32',
    num_frames=2,
    height=3,
    width=4,
    mean=(0.1, 2.0, 3.0),
    std=(1.0, 1.0, 1.0),
    pipeline=({'type': 'Resize', 'scale': [-1, 3]},),
)


def test_there_and_back():
    text = METADATA.to_json()
    assert text.isascii()
    assert Metadata.from_json(text, 'file') == METADATA


def test_later_versions_may_say_more():
    text = json.dumps({**json.loads(METADATA.to_json()), 'more': 1})
    assert Metadata.from_json(text, 'file') == METADATA


@pytest.mark.parametrize(('dtype', 'shape'), [('uint8', (2, 3, 4, 3)), ('float32', (3, 2, 3, 4))])
def test_shape(dtype, shape):
    assert dataclasses.replace(METADATA, frames_dtype=dtype).shape == shape


@pytest.mark.parametrize(
    'changes',
    [
        {'num_frames': 0},
        {'width': 1 << 20},
        {'height': '3'},
        {'frames_dtype': 'int8'},
        {'mean': [1, 2]},
        {'std': [1, 2, 'a']},
        {'mean': None},
        {'classes': [1, 2]},
        {'classes': 3},
    ],
)
def test_senseless(changes):
    text = json.dumps({**json.loads(METADATA.to_json()), **changes})
    with pytest.raises(DataError, match=r'file\.onnx has metadata that cannot be read'):
        Metadata.from_json(text, 'file.onnx')


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"version": 1}', 'null', '{'])
def test_no_metadata(text):
    with pytest.raises(DataError, match='has metadata that cannot be read'):
        Metadata.from_json(text, 'file')


def test_hash_heeds_values_names_and_shapes():
    def build(*changes):
        torch.manual_seed(0)
        module = torch.nn.Module()
        module.a = torch.nn.Parameter(torch.ones(4))
        module.b = torch.nn.Parameter(torch.ones(()))
        for change in changes:
            change(module)
        return weights_hash(module)

    def value(module):
        module.a.data[3] = 2

    def shape(module):
        module.a.data = module.a.data.reshape(2, 2)

    def name(module):
        module.c = module.b
        del module.b

    def dtype(module):
        module.a.data = module.a.data.bfloat16()

    assert build() == build()
    assert len({build(), build(value), build(shape), build(name), build(dtype)}) == 5
