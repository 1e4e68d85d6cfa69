from __future__ import annotations

import open_clip
import pytest
import torch
from open_clip.model import _build_text_tower
from small_models import CLASSES, CONTEXT, JOINT_WIDTH, TEXT, TEXT_WIDTH, build, clip, disturb

import mmxclip.models.text.clip_text_encoder as module
from mmxclip.errors import CheckpointError, ConfigError
from mmxclip.models import CLIPTextEncoder


@pytest.mark.parametrize('act', ['quick_gelu', 'gelu'])
@torch.no_grad()
def test_features_are_open_clips(act):
    """Same weights, same embeddings, although ours stops at the longest text."""
    theirs = clip(act).double()
    ours = build(TEXT, act=act).double()
    ours.load_open_clip(theirs.state_dict())
    tokens = open_clip.tokenize(list(CLASSES), context_length=CONTEXT)
    assert ours.tokenize(CLASSES).shape[1] < CONTEXT
    features = ours.encode(CLASSES)
    assert features.shape == (len(CLASSES), JOINT_WIDTH)
    torch.testing.assert_close(features, theirs.encode_text(tokens), rtol=1e-10, atol=1e-12)


@torch.no_grad()
def test_weights_of_a_model_with_a_tower_apart():
    """open_clip's ``CustomTextCLIP`` puts ``text.`` before the names."""
    sizes = dict(image_size=12, patch_size=4, width=20, layers=1, head_width=10)
    theirs = open_clip.CustomTextCLIP(
        JOINT_WIDTH,
        vision_cfg=sizes,
        text_cfg=dict(context_length=CONTEXT, width=TEXT_WIDTH, heads=4, layers=2),
        quick_gelu=True,
    ).eval()
    ours = build(TEXT)
    ours.load_open_clip(disturb(theirs).state_dict())
    tokens = open_clip.tokenize(list(CLASSES), context_length=CONTEXT)
    torch.testing.assert_close(
        ours.encode(CLASSES), theirs.encode_text(tokens), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ('text', 'ids'),
    [
        ('abseiling', [49406, 596, 567, 3299, 49407]),
        ('ApplyEyeMakeup', [49406, 882, 75, 693, 693, 5853, 49407]),
        ('Apply Eye Makeup', [49406, 4356, 3272, 5853, 49407]),
    ],
)
def test_tokens_of_the_specification(text, ids):
    assert build(TEXT).tokenize([text]).tolist() == [ids]


def test_tokens_are_open_clips_without_the_common_padding():
    texts = ['sword', '  Tai   CHI ', 'a photo of a person doing tai chi', 'caf&eacute;', '跳舞']
    tokens = build(TEXT).tokenize(texts)
    theirs = open_clip.tokenize(texts, context_length=CONTEXT)
    length = tokens.shape[1]
    assert length == int((theirs != 0).sum(dim=1).max())
    assert torch.equal(tokens, theirs[:, :length])
    assert not theirs[:, length:].any()


@torch.no_grad()
def test_padding_changes_nothing():
    encoder = build(TEXT).double()
    tokens = encoder.tokenize(CLASSES)
    padded = torch.zeros(len(CLASSES), CONTEXT, dtype=torch.long)
    padded[:, : tokens.shape[1]] = tokens
    torch.testing.assert_close(encoder(tokens), encoder(padded), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize('batch_size', [1, 2, 5, 100])
@torch.no_grad()
def test_large_vocabularies_are_encoded_in_parts(monkeypatch, batch_size):
    encoder = build(TEXT).double()
    expected = encoder.encode(CLASSES)
    sizes = []
    encoder.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    monkeypatch.setattr(module, 'BATCH_SIZE', batch_size)
    torch.testing.assert_close(encoder.encode(CLASSES), expected, rtol=1e-11, atol=1e-13)
    assert max(sizes) == min(batch_size, len(CLASSES))
    assert sum(sizes) == len(CLASSES)


def test_names_that_fill_the_context_pass():
    words = ' '.join(['sword'] * (CONTEXT - 2))
    assert build(TEXT).tokenize([words]).shape == (1, CONTEXT)


def test_names_beyond_the_context_are_refused():
    words = ' '.join(['sword'] * (CONTEXT - 1))
    match = rf"class text 'sword sword .*' has {CONTEXT + 1} tokens, more than context_length=13"
    with pytest.raises(ConfigError, match=match):
        build(TEXT).encode(['tai chi', words])


def test_a_table_smaller_than_the_tokenizer_is_refused():
    with pytest.raises(ConfigError, match='vocab_size=64 is smaller than the 49408 tokens'):
        build(TEXT, vocab_size=64).encode(['sword'])


def test_unknown_model_offers_the_nearest():
    with pytest.raises(ConfigError, match=r"model='ViT-B-61' is not known.*nearest.*ViT-B-16"):
        CLIPTextEncoder('ViT-B-61')


@pytest.mark.parametrize(
    ('model', 'what'),
    [
        ('roberta-ViT-B-32', 'hf_model_name'),
        ('coca_ViT-B-32', 'embed_cls'),
        ('ViT-B-16-SigLIP', 'no_causal_mask, pool_type'),
    ],
)
def test_towers_of_another_form_are_refused(model, what):
    with pytest.raises(ConfigError, match=rf"model='{model}' is not of the CLIP form \({what} set"):
        CLIPTextEncoder(model)


def check_against_open_clip(model: str) -> None:
    """The tower of ``model`` is open_clip's own, module by module, parameter by parameter."""
    config = open_clip.get_model_config(model)
    with torch.device('meta'):
        ours = CLIPTextEncoder(model)
        theirs = _build_text_tower(
            config['embed_dim'], config['text_cfg'], config.get('quick_gelu', False)
        )
    # open_clip's own norm and activation classes stand for PyTorch's and ours
    assert repr(ours.tower) == repr(theirs)
    assert {k: v.shape for k, v in ours.tower.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    assert ours.output_dims == config['embed_dim']
    assert ours.context_length == theirs.context_length
    assert 'hf_tokenizer_name' not in config['text_cfg']  # all others use CLIP's tokenizer


@pytest.mark.parametrize('model', ['ViT-B-16-quickgelu', 'ViT-L-14', 'ViT-H-14', 'PE-Core-B-16'])
def test_dimensions_by_model_name(model):
    check_against_open_clip(model)


@pytest.mark.slow
def test_dimensions_of_every_model_that_open_clip_lists():
    taken = refused = 0
    for model in open_clip.list_models():
        try:
            check_against_open_clip(model)
            taken += 1
        except ConfigError:
            refused += 1
    assert taken >= 80
    assert refused >= 50


@pytest.mark.parametrize(('model', 'count'), [('ViT-B-16', 63_428_096), ('ViT-L-14', 123_650_304)])
def test_parameters_of_the_published_sizes(model, count):
    with torch.device('meta'):
        encoder = CLIPTextEncoder(model)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == count


def test_initial_values():
    """Deviations of the specification, by width W and 12 layers."""
    width = 64
    encoder = CLIPTextEncoder(embed_dims=width, output_dims=96, num_layers=12)
    tower = encoder.tower
    block = tower.transformer.resblocks[3]
    for value, std in (
        (tower.token_embedding.weight, 0.02),
        (tower.positional_embedding, 0.01),
        (block.attn.in_proj_weight, width**-0.5),
        (block.attn.out_proj.weight, width**-0.5 * 24**-0.5),
        (block.mlp.c_fc.weight, (2 * width) ** -0.5),
        (block.mlp.c_proj.weight, width**-0.5 * 24**-0.5),
        (tower.text_projection, width**-0.5),
    ):
        assert float(value.detach().std()) == pytest.approx(std, rel=0.05)


class TestFrozen:
    def test_no_gradients_and_always_in_evaluation(self):
        encoder = build(TEXT)
        assert not any(parameter.requires_grad for parameter in encoder.parameters())
        for mode in (True, False):
            encoder.train(mode)
            assert not any(part.training for part in encoder.modules())

    def test_within_a_model(self):
        outer = torch.nn.Sequential(torch.nn.Linear(2, 2), build(TEXT)).train()
        assert outer.training
        assert outer[0].training
        assert not any(part.training for part in outer[1].modules())

    def test_trainable(self):
        encoder = build(TEXT, frozen=False)
        assert encoder.train().tower.training
        assert not encoder.eval().tower.training
        encoder.encode(CLASSES).pow(2).sum().backward()
        for name, parameter in encoder.named_parameters():
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_features_have_the_dtype_of_the_weights(dtype):
    encoder = build(TEXT).to(dtype)
    features = encoder.encode(CLASSES)
    assert features.dtype == dtype
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(encoder.encode(CLASSES), features)


class TestMisfits:
    """Weights of another text tower are refused whole."""

    def state(self, **changes: torch.Tensor) -> dict[str, torch.Tensor]:
        return {**clip().state_dict(), **changes}

    def refused(self, state, match):
        encoder = build(TEXT)
        before = [parameter.clone() for parameter in encoder.parameters()]
        with pytest.raises(CheckpointError, match=match):
            encoder.load_open_clip(state)
        assert all(map(torch.equal, encoder.parameters(), before))

    def test_other_context(self):
        self.refused(
            self.state(positional_embedding=torch.zeros(77, TEXT_WIDTH)),
            r'positional_embedding \(77, 16\) for \(13, 16\)',
        )

    def test_other_joint_width(self):
        self.refused(
            self.state(text_projection=torch.zeros(TEXT_WIDTH, 30)),
            r'text_projection \(16, 30\) for \(16, 24\)',
        )

    def test_missing(self):
        state = self.state()
        del state['ln_final.bias']
        self.refused(state, '1 of 29 tensors are missing: ln_final.bias')

    def test_more_layers(self):
        self.refused(
            self.state(**{'transformer.resblocks.2.ln_1.weight': torch.zeros(TEXT_WIDTH)}),
            r'tensors that the model lacks: transformer.resblocks.2.ln_1.weight',
        )


@pytest.mark.parametrize(
    ('model', 'act', 'expected'),
    [
        ('ViT-B-32', None, 'gelu'),
        ('ViT-B-32-quickgelu', None, 'quick_gelu'),
        # several weights that open_clip lists under the plain name were trained with the other
        ('ViT-B-32', 'quick_gelu', 'quick_gelu'),
        (None, None, 'quick_gelu'),
        (None, 'gelu', 'gelu'),
    ],
)
def test_activation_of_a_named_model(model, act, expected):
    with torch.device('meta'):
        encoder = CLIPTextEncoder(model=model, act=act)
    assert encoder.act == expected
    names = {type(block.mlp.gelu).__name__ for block in encoder.tower.transformer.resblocks}
    assert names == {'QuickGELU' if expected == 'quick_gelu' else 'GELU'}
