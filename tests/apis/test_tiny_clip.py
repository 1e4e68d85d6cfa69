"""The small image-text model of the motion task: its training and the weights that ship."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F  # noqa: N812

from mmxclip.apis import tiny_clip
from mmxclip.apis.tiny_clip import TinyCLIP, Vocabulary
from mmxclip.datasets.motion import SEEN_CLASSES, UNSEEN_CLASSES
from mmxclip.datasets.motion.stills import CAPTIONS
from mmxclip.errors import ConfigError, DataError
from mmxclip.models.weights.open_clip_pretrained import packaged_weights

SHIPPED = 'tiny_clip_motion.safetensors'
TINY = TinyCLIP(embed_dims=32, num_layers=1, text_dims=32, text_layers=1, output_dims=16, steps=2)
TINY = replace(TINY, batch_size=8, num_stills=16)


@pytest.fixture(scope='module')
def shipped():
    with safe_open(packaged_weights(SHIPPED), 'pt') as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, file.metadata()


def test_the_vocabulary_renumbers_tokens_in_order():
    from open_clip.tokenizer import SimpleTokenizer

    vocabulary = Vocabulary(context_length=16)
    texts = (*CAPTIONS, *SEEN_CLASSES, *UNSEEN_CLASSES)
    rows = vocabulary.tokenize(texts)
    assert torch.equal(vocabulary.ids[rows], SimpleTokenizer(context_length=16)(list(texts)))
    assert (rows.max(dim=1).values == len(vocabulary.ids) - 1).all()  # the end token
    assert len(vocabulary.ids) < 40


def test_positions_tell_rows_from_columns():
    table = tiny_clip.sine_positions(4, 32).unflatten(0, (4, 4))
    assert torch.equal(table[0, :, :16], table[3, :, :16])  # of columns
    assert torch.equal(table[:, 0, 16:], table[:, 3, 16:])  # of rows
    flat = table.flatten(0, 1)
    assert (torch.cdist(flat, flat) + torch.eye(16) > 0.5).all()


def test_an_equal_caption_is_no_negative():
    class Towers(torch.nn.Module):
        logit_scale = torch.tensor(2.0)

        def encode_image(self, images):
            return images

        def encode_text(self, tokens):
            return tokens

    tokens = torch.randn(5, 8)
    images = torch.randn(4, 8)
    captions = torch.tensor([3, 0, 3, 1])
    loss = tiny_clip.contrastive_loss(Towers(), images, tokens, captions)

    video, text = F.normalize(images, dim=1), F.normalize(tokens[captions], dim=1)
    logits = torch.exp(torch.tensor(2.0)) * video @ text.T
    losses = []
    for i in range(4):
        others = [j for j in range(4) if j == i or captions[j] != captions[i]]
        losses += [
            logits[i, others].logsumexp(0) - logits[i, i],
            logits[others, i].logsumexp(0) - logits[i, i],
        ]
    torch.testing.assert_close(loss, torch.stack(losses).mean())


def test_the_seed_decides_the_weights():
    def weights(seed):
        model, _ = tiny_clip.train(replace(TINY, seed=seed), report=lambda line: None)
        return model.state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first['visual.conv1.weight'], other['visual.conv1.weight'])


def test_training_reports_and_the_loss_falls():
    lines = []
    recipe = replace(TINY, steps=60, batch_size=32, num_stills=64, lr=3e-3)
    tiny_clip.train(recipe, report=lines.append, interval=10)
    losses = [float(line.rsplit(' ', 1)[1]) for line in lines[1:]]
    assert len(losses) == 6
    assert losses[-1] < losses[0] - 0.3


@pytest.mark.parametrize(
    'arguments', [dict(steps=0), dict(batch_size=1), dict(num_stills=4, batch_size=8)]
)
def test_numbers_that_cannot_be(arguments):
    with pytest.raises(ConfigError, match='must be at least'):
        TinyCLIP(**arguments)


def test_an_unwritable_path_is_named(tmp_path):
    vocabulary = Vocabulary(TINY.context_length)
    model = tiny_clip.build(TINY, len(vocabulary.ids))
    with pytest.raises(DataError, match=r'no such/a\.safetensors cannot be written'):
        tiny_clip.save(tmp_path / 'no such' / 'a.safetensors', model, vocabulary, TINY)


def test_shipped_weights_are_small_and_say_how_they_were_made(shipped):
    tensors, metadata = shipped
    assert packaged_weights(SHIPPED).stat().st_size < 3e6
    assert {value.dtype for key, value in tensors.items() if not key.endswith('.ids')} == {
        torch.float16
    }
    assert TinyCLIP(**json.loads(metadata['recipe'])) == TinyCLIP()
    assert metadata['command'].startswith('python tools/train_tiny_clip.py')


def test_shipped_weights_know_all_words(shipped):
    tensors, _ = shipped
    ids = Vocabulary(TinyCLIP.context_length).ids
    assert torch.equal(tensors['token_embedding.ids'].long(), ids)
    words = tensors['token_embedding.weight'].float()
    assert (words.norm(dim=1) > 0).all()


def test_shipped_weights_find_captions_of_new_stills(shipped):
    tensors, metadata = shipped
    recipe = TinyCLIP()
    vocabulary = Vocabulary(recipe.context_length)
    model = tiny_clip.build(recipe, len(vocabulary.ids)).eval()
    weights = {key: value.float() for key, value in tensors.items() if not key.endswith('.ids')}
    model.load_state_dict(weights)
    score = tiny_clip.accuracy(model, vocabulary, recipe, number=2000)
    assert score == pytest.approx(float(metadata['accuracy']), abs=0.01)
    assert score > 0.8  # chance is 1 / 324
