"""The same weights in ``transformers`` and here give the same numbers."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec

import pytest
import torch

if find_spec('transformers') is None and 'CI' not in os.environ:
    pytest.skip('transformers is absent: pip install -e ".[test]"', allow_module_level=True)

import transformers_models as pair
from transformers import XCLIPModel

from mmxclip.checkpoints import convert_state_dict, files, infer_architecture, load
from mmxclip.checkpoints.hf_config import heads_of, make_config

FLOAT32, BFLOAT16 = 1e-5, 2e-2


def assert_close(actual: pair.Outputs, expected: pair.Outputs, limit: float) -> None:
    errors = actual.errors_against(expected)
    print(errors)  # seen with -s
    assert errors.keys() == {'logits', 'video', 'text', 'prompted'}
    assert all(error <= limit for error in errors.values()), errors


@pytest.fixture(scope='module')
def theirs() -> XCLIPModel:
    return pair.their_model(pair.TINY)


@pytest.fixture
def ours(theirs) -> torch.nn.Module:
    return pair.our_model(theirs.state_dict())


@pytest.fixture(scope='module')
def sample() -> tuple[torch.Tensor, torch.Tensor]:
    return pair.inputs(pair.TINY)


@pytest.fixture(scope='module')
def expected(theirs, sample) -> pair.Outputs:
    return pair.their_outputs(theirs, *sample)


class TestParity:
    def test_float32(self, ours, expected, sample):
        assert_close(pair.our_outputs(ours, *sample), expected, FLOAT32)

    def test_float64(self, sample):
        """No systematic difference hides in what float32 rounds away."""
        double = pair.their_model(pair.TINY).double()
        ours = pair.our_model(double.state_dict()).double()
        expected = pair.their_outputs(double, *sample)
        assert_close(pair.our_outputs(ours, *sample), expected, 1e-12)

    def test_bfloat16(self, ours, expected, sample):
        assert_close(pair.our_outputs(ours.bfloat16(), *sample), expected, BFLOAT16)

    def test_autocast(self, ours, expected, sample):
        with torch.autocast('cpu', torch.bfloat16):
            assert_close(pair.our_outputs(ours, *sample), expected, BFLOAT16)

    def test_every_tensor_counts(self, ours, expected, sample):
        """The comparison above would see a change of any single tensor."""
        for name, parameter in ours.named_parameters():
            before = parameter.detach().clone()
            with torch.no_grad():
                wave = torch.arange(parameter.numel()).add(1.0).sin().view_as(parameter)
                parameter.add_(0.2 * wave)  # norms that follow undo shifts and scales
            error = pair.our_outputs(ours, *sample).errors_against(expected)['logits']
            assert error > 10 * FLOAT32, name
            with torch.no_grad():
                parameter.copy_(before)

    @pytest.mark.slow
    @pytest.mark.parametrize('name', ['B32', 'B16', 'L14'])
    def test_published_sizes(self, name):
        sizes = getattr(pair, name)
        theirs, sample = pair.their_model(sizes), pair.inputs(sizes, rows=1)
        expected = pair.their_outputs(theirs, *sample)
        ours = pair.our_model(theirs.state_dict())
        assert_close(pair.our_outputs(ours, *sample), expected, FLOAT32)
        if name == 'L14':
            check_published_heads(ours, theirs, sample)
        with torch.autocast('cpu', torch.bfloat16):
            assert_close(pair.our_outputs(ours, *sample), expected, BFLOAT16)
        assert_close(pair.our_outputs(ours.bfloat16(), *sample), expected, BFLOAT16)


def check_published_heads(ours, theirs, sample):
    """With 8 heads in two parts, as the published L/14 files run, outputs are others."""
    other = pair.with_heads(theirs, pair.L14, dict(neck=8, prompt=8))
    as_published = pair.their_outputs(other, *sample)
    errors = pair.our_outputs(ours, *sample).errors_against(as_published)
    print('against 8 heads', errors)
    assert min(errors['video'], errors['prompted']) > 30 * FLOAT32
    attentions = [part.attn for part in (*ours.neck.blocks, *ours.cls_head.prompt.layers)]
    assert {attention.num_heads for attention in attentions} == {12}
    for attention in attentions:
        attention.num_heads = 8
    assert_close(pair.our_outputs(ours, *sample), as_published, FLOAT32)
    for attention in attentions:
        attention.num_heads = 12


class TestOtherHeads:
    """In the published L/14 files two parts run with 8 heads, where 12 is right."""

    HEADS = dict(neck=2, prompt=6)

    @pytest.fixture
    def other(self, theirs) -> XCLIPModel:
        return pair.with_heads(theirs, pair.TINY, self.HEADS)

    def test_outputs_differ(self, other, ours, sample):
        errors = pair.our_outputs(ours, *sample).errors_against(pair.their_outputs(other, *sample))
        assert errors['video'] > 1e-2
        assert errors['prompted'] > 1e-2
        assert errors['text'] <= FLOAT32

    def test_are_reproduced_on_request(self, other, sample):
        heads = heads_of(other.config.to_dict())
        model = pair.our_model(other.state_dict(), heads)
        expected = pair.their_outputs(other, *sample)
        assert_close(pair.our_outputs(model, *sample), expected, FLOAT32)


class TestTheirFolder:
    def test_we_read_what_they_write(self, theirs, tmp_path):
        theirs.save_pretrained(tmp_path)
        weights = load(tmp_path)
        own = convert_state_dict(theirs.state_dict())
        assert weights.keys() == own.keys()
        assert all(torch.equal(value, own[name]) for name, value in weights.items())
        assert files.read(tmp_path).architecture == infer_architecture(own)

    def test_they_read_what_we_write(self, theirs, expected, sample, tmp_path):
        torch.save(convert_state_dict(theirs.state_dict(), target='official'), tmp_path / 'x.pth')
        files.write(files.read(tmp_path / 'x.pth'), tmp_path / 'theirs', 'hf')
        again, told = XCLIPModel.from_pretrained(tmp_path / 'theirs', output_loading_info=True)
        assert not any(told[kind] for kind in ('missing_keys', 'unexpected_keys'))
        assert_close(pair.their_outputs(again.eval(), *sample), expected, 0)

    def test_our_configuration_is_theirs(self, theirs):
        """Each value that we write arrives, none is unknown to them."""
        config = make_config(pair.TINY)
        told = json.loads(theirs.config.to_json_string(use_diff=False))
        for section in ('vision_config', 'text_config'):
            assert config[section].items() <= told[section].items()
        for key in config.keys() - {'vision_config', 'text_config', 'architectures'}:
            assert config[key] == told[key]
