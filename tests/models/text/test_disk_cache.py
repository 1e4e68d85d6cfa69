"""Text features on disk: the same as computed, found again, never another model's."""

import os
import threading

import pytest
import torch

from mmxclip.models.text import CLIPTextEncoder
from mmxclip.models.text.disk_cache import TextFeatureStore, cache_folder, digest_of

TEXTS = ('a red circle', 'a blue square')


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return CLIPTextEncoder(
        output_dims=8, embed_dims=16, num_layers=1, num_heads=2, context_length=16
    )


@pytest.fixture
def encoded(encoder, monkeypatch):
    """Texts that were really encoded, by call."""
    calls = []
    encode = encoder.encode

    def recorded(texts):
        calls.append(tuple(texts))
        return encode(texts)

    monkeypatch.setattr(encoder, 'encode', recorded)
    return calls


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'text'


def files(folder):
    return sorted(folder.glob('*'))


def test_a_second_store_does_not_encode(encoder, encoded, folder):
    first = TextFeatureStore(folder).get(encoder, TEXTS)
    second = TextFeatureStore(folder).get(encoder, TEXTS)
    assert encoded == [TEXTS]
    assert torch.equal(first, second)
    assert torch.equal(first, encoder.encode(TEXTS))
    assert len(files(folder)) == 1


def test_other_texts_and_another_order_are_other_files(encoder, encoded, folder):
    store = TextFeatureStore(folder)
    for texts in (TEXTS, TEXTS[::-1], TEXTS[:1], ('a red circle a', 'blue square')):
        assert torch.equal(store.get(encoder, texts), encoder.encode(texts))
    assert len(files(folder)) == 4


def test_changed_weights_are_noticed(encoder, encoded, folder):
    store = TextFeatureStore(folder)
    before = store.get(encoder, TEXTS)
    with torch.no_grad():
        encoder.tower.text_projection[0, 0] += 1
    after = store.get(encoder, TEXTS)
    assert len(encoded) == 2
    assert not torch.equal(before, after)


@pytest.mark.parametrize('change', ['dtype', 'weights', 'act', 'context'])
def test_digests_differ(encoder, change):
    before = digest_of(encoder)
    if change == 'dtype':
        encoder.half()
    elif change == 'weights':
        with torch.no_grad():
            encoder.tower.ln_final.bias[-1] += 1e-6
    elif change == 'act':
        encoder.act = 'gelu'
    else:
        encoder.context_length = 15
    assert digest_of(encoder) != before


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_types_of_numbers_are_kept(encoder, encoded, folder, dtype):
    encoder.to(dtype)
    first = TextFeatureStore(folder).get(encoder, TEXTS)
    second = TextFeatureStore(folder).get(encoder, TEXTS)
    assert encoded == [TEXTS]
    assert first.dtype == second.dtype == dtype
    assert torch.equal(first, second)


def flipped(data):
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.parametrize(
    'damage', [lambda data: b'', lambda data: data[:-1], lambda data: b'\xff' * 99, flipped]
)
def test_a_damaged_file_is_written_anew(encoder, encoded, folder, damage):
    good = TextFeatureStore(folder).get(encoder, TEXTS)
    (file,) = files(folder)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert torch.equal(TextFeatureStore(folder).get(encoder, TEXTS), good)
    assert len(encoded) == 2
    assert file.read_bytes() == whole


def test_a_file_of_another_shape_is_not_taken(encoder, encoded, folder):
    store = TextFeatureStore(folder)
    store.get(encoder, TEXTS)
    store.get(encoder, TEXTS[:1])
    one, two = sorted(files(folder), key=lambda file: file.stat().st_size)
    two.write_bytes(one.read_bytes())
    assert TextFeatureStore(folder).get(encoder, TEXTS).shape == (2, 8)
    assert len(encoded) == 3


def test_a_folder_that_cannot_be_made_costs_time_alone(encoder, tmp_path, warned):
    (tmp_path / 'file').touch()
    store = TextFeatureStore(tmp_path / 'file' / 'text')
    assert torch.equal(store.get(encoder, TEXTS), encoder.encode(TEXTS))
    assert any('MMXCLIP_CACHE names another folder' in text for text in warned())


def test_nothing_half_written_stays(encoder, folder, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    TextFeatureStore(folder).get(encoder, TEXTS)
    assert files(folder) == []


def test_the_least_used_are_dropped(encoder, encoded, folder):
    store = TextFeatureStore(folder)
    texts = [(f'text {index}',) for index in range(4)]
    known = {}
    for index, text in enumerate(texts[:3]):
        store.get(encoder, text)
        (known[text],) = set(files(folder)) - set(known.values())
        os.utime(known[text], (index, index))  # long ago, one after the other
    store.max_bytes = 3 * known[texts[0]].stat().st_size
    store.get(encoder, texts[0])  # now the one used last
    store.get(encoder, texts[3])
    assert known[texts[0]].exists()
    assert not known[texts[1]].exists()
    assert known[texts[2]].exists()
    assert encoded == texts


def test_threads_may_write_the_same(encoder, folder):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(TextFeatureStore(folder).get(encoder, TEXTS)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(item, found[0]) for item in found)
    assert [file.suffix for file in files(folder)] == ['.safetensors']


def test_the_folder_by_environment(monkeypatch, tmp_path):
    monkeypatch.setenv('MMXCLIP_CACHE', str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv('MMXCLIP_CACHE')
    monkeypatch.setenv('HOME', '/home/someone')
    assert str(cache_folder()) == '/home/someone/.cache/mmxclip'
