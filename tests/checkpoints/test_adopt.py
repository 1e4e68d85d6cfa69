"""``load_from`` takes any format; here through MMEngine's own loading."""

from __future__ import annotations

import json

import pytest
import small_weights as small
import torch
from mmaction.registry import MODELS
from mmengine.runner import load_checkpoint
from safetensors.torch import save_file
from torch import nn

from mmxclip.checkpoints import infer_architecture
from mmxclip.checkpoints.hf_config import make_config
from mmxclip.errors import CheckpointError

HEADS = dict(backbone=3, neck=5, prompt=4, text_encoder=2)


def xclip(**changes: object) -> nn.Module:
    return MODELS.build(dict(type='XCLIP') | infer_architecture(small.own(), HEADS) | changes)


def assert_filled(model: nn.Module, complete: bool = True) -> None:
    state, expected = model.state_dict(), small.own(complete)
    assert expected.keys() <= state.keys()
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value.float(), rtol=0, atol=0)


@pytest.mark.parametrize('strict', [False, True])
@pytest.mark.parametrize(
    ('source', 'wrapping'),
    [
        *(('official', wrapping) for wrapping in (None, 'model', 'state_dict')),
        *(('hf', wrapping) for wrapping in (None, 'state_dict')),
        *(('mmxclip', wrapping) for wrapping in (None, 'state_dict')),
    ],
)
def test_complete_weights(tmp_path, warned, source, wrapping, strict):
    state = small.weights(source)
    content = state if wrapping is None else {wrapping: state, 'epoch': 3}
    torch.save(content, tmp_path / 'a.pth')
    model = xclip()
    load_checkpoint(model, str(tmp_path / 'a.pth'), strict=strict)
    assert_filled(model)
    assert warned() == []


def test_folder_of_transformers(tmp_path, warned):
    save_file(small.weights('hf'), tmp_path / 'model.safetensors')
    (tmp_path / 'config.json').write_text(json.dumps(make_config(small.SIZES)))
    model = xclip()
    load_checkpoint(model, str(tmp_path))
    assert_filled(model)
    assert warned() == []


@pytest.mark.parametrize('source', ['openai', 'open_clip'])
def test_towers_alone(tmp_path, warned, source):
    torch.save(small.weights(source), tmp_path / 'clip.pt')
    model = xclip()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_checkpoint(model, str(tmp_path / 'clip.pt'))
    assert_filled(model, complete=False)
    new = [name for name in before if any(part in name for part in small.NEW)]
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in new)
    (told,) = [text for text in warned() if 'keep their initial values' in text]
    assert f'towers alone; {len(new)} tensors keep their initial values' in told
    for pattern in (
        'backbone.blocks.*.message_fc.weight',
        'neck.positional_embedding',
        'neck.blocks.*.attn.qkv.bias',
        'cls_head.prompt.layers.*.mlp.fc2.bias',
        'cls_head.prompt.alpha',
    ):
        assert pattern in told
    assert 'ln_pre' not in told


def test_towers_alone_for_a_model_without_new_parts(tmp_path, warned):
    model = MODELS.build(dict(type='XCLIP', **infer_architecture(small.weights('openai'), HEADS)))
    torch.save(small.weights('openai'), tmp_path / 'clip.pt')
    load_checkpoint(model, str(tmp_path / 'clip.pt'))
    assert_filled(model, complete=False)
    assert warned() == []


def test_plain_load_state_dict():
    model = xclip()
    model.load_state_dict(small.weights('official'))
    assert_filled(model)


def test_the_callers_state_dict_is_left_alone():
    state = small.weights('official')
    keys = list(state)
    xclip().load_state_dict(state)
    assert list(state) == keys


def test_another_number_of_frames(warned):
    """Positions are interpolated after the conversion as they are without it."""
    neck = infer_architecture(small.own(), HEADS)['neck'] | dict(num_frames=8)
    model = xclip(neck=neck)
    model.load_state_dict(small.weights('official'))
    assert 'trained with 5 frames and the model has num_frames=8' in warned()[0]


class TestRefused:
    """With nothing copied."""

    @pytest.mark.parametrize(
        ('change', 'message'),
        [
            (lambda s: s.pop('mit.resblocks.0.ln_1.bias'), r'missing: mit\.resblocks\.0\.ln_1\.b'),
            (lambda s: s.update(extra=torch.ones(1)), 'keys are not known: extra'),
            (lambda s: s.update(logit_scale=torch.ones(2)), r'misshapen: logit_scale \(2,\)'),
        ],
    )
    @pytest.mark.parametrize('strict', [False, True])
    def test_incomplete(self, tmp_path, change, message, strict):
        state = small.weights('official')
        change(state)
        torch.save({'model': state}, tmp_path / 'a.pth')
        self.refuse(xclip(), tmp_path / 'a.pth', message, strict)

    def test_fewer_layers_than_the_model(self, tmp_path):
        """Complete in itself, so only the model can tell."""
        last = f'mit.resblocks.{small.SIZES["neck_layers"] - 1}.'
        state = {k: v for k, v in small.weights('official').items() if not k.startswith(last)}
        torch.save(state, tmp_path / 'a.pth')
        message = r"the authors' X-CLIP .* lacks 12 tensors of the model: neck\.blocks\.2\."
        self.refuse(xclip(), tmp_path / 'a.pth', message)

    def test_fewer_layers_of_towers_alone(self, tmp_path):
        last = f'transformer.resblocks.{small.SIZES["text_layers"] - 1}.'
        state = {k: v for k, v in small.weights('openai').items() if not k.startswith(last)}
        torch.save(state, tmp_path / 'a.pth')
        self.refuse(xclip(), tmp_path / 'a.pth', 'lacks 12 tensors of the model')

    def test_other_sizes(self, tmp_path):
        backbone = infer_architecture(small.own(), HEADS)['backbone'] | dict(img_size=8)
        torch.save(small.weights('hf'), tmp_path / 'a.pth')
        message = (
            r'positional_embedding is \(10, 12\) in the checkpoint and \(17, 12\) in the model'
        )
        self.refuse(xclip(backbone=backbone), tmp_path / 'a.pth', message)

    def test_mixed(self, tmp_path):
        state = {**small.weights('hf'), 'mit.positional_embedding': torch.ones(1)}
        torch.save(state, tmp_path / 'a.pth')
        self.refuse(xclip(), tmp_path / 'a.pth', 'mixes formats')

    def test_of_no_known_format(self, tmp_path):
        torch.save(nn.Linear(2, 2).state_dict(), tmp_path / 'a.pth')
        self.refuse(xclip(), tmp_path / 'a.pth', 'shares no weight name with the model')

    def refuse(self, model, path, message, strict=False):
        before = [value.clone() for value in model.state_dict().values()]
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(model, str(path), strict=strict)
        assert all(map(torch.equal, model.state_dict().values(), before))


def test_extra_parts_of_the_checkpoint_are_listed(tmp_path, warned):
    """MMEngine's warning: a model without prompts takes the rest."""
    head = infer_architecture(small.own(), HEADS)['cls_head'] | dict(prompt=None)
    torch.save(small.weights('official'), tmp_path / 'a.pth')
    model = xclip(cls_head=head)
    load_checkpoint(model, str(tmp_path / 'a.pth'), logger='current')
    assert any('cls_head.prompt.alpha' in text for text in warned())
    expected = small.own()['backbone.proj'].float()
    assert torch.equal(model.backbone.proj, expected)
