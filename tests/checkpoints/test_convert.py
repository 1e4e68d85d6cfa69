from __future__ import annotations

import re
from collections.abc import Collection

import pytest
import small_weights as small
import torch
from torch import Tensor

from mmxclip.checkpoints import convert_state_dict
from mmxclip.checkpoints.architecture import expected_state
from mmxclip.checkpoints.huggingface import POSITION_IDS
from mmxclip.errors import CheckpointError

SPOILED = float('nan')


def assert_same_bits(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for key, value in actual.items():
        other = expected[key]
        assert (value.dtype, value.shape) == (other.dtype, other.shape), key
        mine, theirs = (t.contiguous().reshape(-1).view(torch.uint8) for t in (value, other))
        assert torch.equal(mine, theirs), key
        assert value.is_contiguous(), key


def some(keys: Collection[str]) -> list[str]:
    """All keys but those of inner layers, of which the first and the last say enough."""
    return [key for key in sorted(keys) if not re.search(r'layers\.[2-9]\.|blocks\.[2-9]\.', key)]


@pytest.mark.parametrize('source', ['official', 'hf', 'mmxclip'])
@pytest.mark.parametrize('over', ['official', 'hf', 'mmxclip'])
def test_there_and_back_is_bit_for_bit(source, over):
    state = small.weights(source)
    for value in state.values():  # numbers that arithmetic would not keep
        value.view(-1)[0] = SPOILED
    there = convert_state_dict(state, source, over)
    assert (over == source) == (there.keys() == state.keys())
    assert_same_bits(convert_state_dict(there, 'auto', source), state)
    assert_same_bits(convert_state_dict(there, over, source), state)


def test_source_is_left_alone():
    state = small.weights('hf')
    before = {key: value.clone() for key, value in state.items()}
    converted = convert_state_dict(state)
    for value in converted.values():
        if value.data_ptr() not in {other.data_ptr() for other in state.values()}:
            value.zero_()
    assert_same_bits(state, before)


@pytest.mark.parametrize('source', ['official', 'hf'])
def test_every_tensor_arrives_under_its_name(source):
    """Against the shapes of the model, which are all different here."""
    converted = convert_state_dict(small.weights(source))
    assert {name: value.shape for name, value in converted.items()} == {
        name: value.shape for name, value in expected_state(small.SIZES).items()
    }


@pytest.mark.parametrize('source', ['openai', 'open_clip'])
def test_towers_alone(source):
    assert_same_bits(convert_state_dict(small.weights(source)), small.own(complete=False))


def test_text_tower_apart():
    state = {
        key if key.startswith('visual.') or key == 'logit_scale' else f'text.{key}': value
        for key, value in small.weights('open_clip').items()
    }
    assert_same_bits(convert_state_dict(state), small.own(complete=False))


@pytest.mark.parametrize('target', ['official', 'hf'])
@pytest.mark.parametrize('source', ['openai', 'open_clip', 'mmxclip'])
def test_towers_alone_are_no_xclip(source, target):
    state = small.own(complete=False) if source == 'mmxclip' else small.weights(source)
    with pytest.raises(CheckpointError, match=r'missing: .*message_.*expected a complete X-CLIP'):
        convert_state_dict(state, target=target)


class TestNothingIsDropped:
    FORMATS = ('official', 'hf', 'openai', 'open_clip')

    @pytest.mark.parametrize('source', FORMATS)
    def test_each_missing_tensor(self, source):
        state = small.weights(source)
        numbers = {'input_resolution', 'context_length', 'vocab_size'}
        for key in some(state.keys() - numbers):
            rest = {name: value for name, value in state.items() if name != key}
            with pytest.raises(CheckpointError, match='missing') as caught:
                convert_state_dict(rest, source)
            assert len(str(caught.value).splitlines()) == 1

    @pytest.mark.parametrize('source', FORMATS)
    def test_missing_tensors_are_listed_by_their_names(self, source):
        state = small.weights(source)
        lost = [key for key in state if '.1.' in key and key.endswith('bias')][:7]
        for key in lost:
            del state[key]
        with pytest.raises(CheckpointError) as caught:
            convert_state_dict(state, source)
        if source != 'hf':
            assert 'and 2 more' in str(caught.value)
        assert any(key in str(caught.value) for key in lost)

    @pytest.mark.parametrize('source', FORMATS)
    def test_extra_tensor(self, source):
        state = small.weights(source)
        state['visual.transformer.resblocks.1.gate'] = torch.zeros(1)
        with pytest.raises(
            CheckpointError, match=r'not known: visual\.transformer\.resblocks\.1\.gate'
        ):
            convert_state_dict(state, source)

    @pytest.mark.parametrize('source', ['openai', 'open_clip'])
    def test_known_tensor_that_does_not_belong_there(self, source):
        state = small.weights(source)
        state['mit.positional_embedding'] = torch.zeros(1, 5, 20)
        with pytest.raises(CheckpointError, match=r'are extra: mit\.positional_embedding'):
            convert_state_dict(state, source)

    @pytest.mark.parametrize('source', FORMATS)
    def test_every_misshapen_tensor(self, source):
        state = small.weights(source)
        for key in some(state.keys() - {'input_resolution', 'context_length', 'vocab_size'}):
            value = state[key]
            wrong = {**state, key: torch.zeros(*value.shape, 2)}
            with pytest.raises(CheckpointError) as caught:
                convert_state_dict(wrong, source)
            assert len(str(caught.value).splitlines()) == 1

    def test_misshapen_tensors_are_listed_with_both_shapes(self):
        state = small.weights('official')
        state['mit.resblocks.2.mlp.c_fc.weight'] = torch.zeros(20, 80)
        with pytest.raises(
            CheckpointError,
            match=r'1 tensors are misshapen: mit\.resblocks\.2\.mlp\.c_fc\.weight '
            r'\(20, 80\) for \(80, 20\)',
        ):
            convert_state_dict(state)

    def test_all_faults_in_one_message(self):
        state = small.weights('official')
        del state['ln_final.bias']
        state['logit_scale'] = torch.zeros(1)
        state['visual.transformer.resblocks.00.ln_1.bias'] = torch.zeros(12)
        with pytest.raises(
            CheckpointError,
            match=r'missing: ln_final\.bias; .*extra: visual\.transformer\.resblocks\.00\.ln_1\.'
            r'bias; .*misshapen: logit_scale \(1,\) for \(\)',
        ):
            convert_state_dict(state)

    def test_layers_without_end(self):
        state = small.weights('official')
        state['visual.transformer.resblocks.999999999.ln_1.bias'] = torch.zeros(12)
        with pytest.raises(CheckpointError, match='counts 1000000000 layers in a file of'):
            convert_state_dict(state)

    def test_tensors_that_tell_the_sizes(self):
        state = small.weights('official')
        del state['visual.conv1.weight']
        with pytest.raises(CheckpointError, match=r'tell the sizes are missing: visual\.conv1\.w'):
            convert_state_dict(state)

    @pytest.mark.parametrize(
        ('name', 'value'), [('input_resolution', 224), ('context_length', 8), ('vocab_size', 12)]
    )
    def test_numbers_of_openai_are_checked(self, name, value):
        state = {**small.weights('openai'), name: torch.tensor(value)}
        with pytest.raises(CheckpointError, match=f'{name} is {value} and the tensors are of'):
            convert_state_dict(state)

    def test_two_text_towers(self):
        state = small.weights('open_clip')
        state['text.ln_final.bias'] = state['ln_final.bias']
        with pytest.raises(CheckpointError, match=r'with and without "text\." in front: ln_final'):
            convert_state_dict(state)


def test_parameters_leave_no_trace_of_gradients():
    state = {key: torch.nn.Parameter(value) for key, value in small.weights('hf').items()}
    assert not any(value.grad_fn for value in convert_state_dict(state).values())


class TestPositionIds:
    IDS = {
        'vision_model.embeddings.position_ids': torch.arange(10)[None],
        'text_model.embeddings.position_ids': torch.arange(7)[None],
    }

    def with_ids(self) -> dict[str, Tensor]:
        return {**small.weights('hf'), **self.IDS}

    def test_names(self):
        assert self.IDS.keys() == POSITION_IDS.keys()

    @pytest.mark.parametrize('over', ['mmxclip', 'hf'])
    def test_come_back_when_they_were_there(self, over):
        there = convert_state_dict(self.with_ids(), 'hf', over)
        assert_same_bits(convert_state_dict(there, 'auto', 'hf'), self.with_ids())

    def test_come_back_from_a_file(self, tmp_path):
        torch.save(convert_state_dict(self.with_ids()), tmp_path / 'own.pth')
        there = torch.load(tmp_path / 'own.pth', weights_only=True)
        assert_same_bits(convert_state_dict(there, target='hf'), self.with_ids())

    @pytest.mark.parametrize('wanted', [True, False])
    @pytest.mark.parametrize('source', ['mmxclip', 'official', 'hf'])
    def test_as_asked(self, source, wanted):
        state = self.with_ids() if source == 'hf' else small.weights(source)
        converted = convert_state_dict(state, source, 'hf', position_ids=wanted)
        assert_same_bits(converted, self.with_ids() if wanted else small.weights('hf'))

    @pytest.mark.parametrize('name', IDS)
    def test_others_are_refused(self, name):
        state = self.with_ids()
        state[name] = state[name].flip(1)
        with pytest.raises(CheckpointError, match=f'{name} .* does not count'):
            convert_state_dict(state)


class TestThirds:
    QUERY = 'vision_model.encoder.layers.1.message_attn.q_proj.weight'

    def test_order(self):
        state = small.weights('hf')
        packed = convert_state_dict(state)['backbone.blocks.1.message_attn.qkv.weight']
        for index, letter in enumerate('qkv'):
            third = state[self.QUERY.replace('q_proj', f'{letter}_proj')]
            assert torch.equal(packed[index * 12 : index * 12 + 12], third)

    def test_of_different_dtype(self):
        state = small.weights('hf')
        state[self.QUERY] = state[self.QUERY].double()
        with pytest.raises(CheckpointError, match=r'belong together differ: .*q_proj.*float64'):
            convert_state_dict(state)

    def test_projections_are_transposed(self):
        state = small.weights('hf')
        own = convert_state_dict(state)
        assert torch.equal(own['backbone.proj'], state['visual_projection.weight'].t())
        text = own['cls_head.text_encoder.tower.text_projection']
        assert torch.equal(text, state['text_projection.weight'].t())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(source='flax'), "source='flax' is not known; expected auto or one of"),
        (dict(target='openai'), "target='openai' is not known; expected one of"),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(CheckpointError, match=message):
        convert_state_dict(small.weights('official'), **arguments)


def test_own_models_of_other_parts_pass_through():
    own = {**small.own(), 'cls_head.video_proj.weight': torch.zeros(3)}
    assert_same_bits(convert_state_dict(own), own)
