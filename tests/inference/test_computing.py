"""Batches that fit into memory, precision, views, many labels."""

import pytest
import torch

from mmxclip import VideoClassifier
from mmxclip.errors import ConfigError
from mmxclip.inference import computing
from mmxclip.inference.computing import Computer, device_of

LABELS = ['a red circle growing', 'a blue square moving up', 'a green triangle']


@pytest.fixture
def clips(classifier, videos):
    return torch.stack([classifier.prepare(video) for video in videos])


def out_of_memory_above(limit, classifier, monkeypatch):
    """Let the model fail for more than ``limit`` views, as it does on a small GPU."""
    sizes = []
    extract = classifier.model.extract_feat

    def limited(inputs, **kwargs):
        sizes.append(len(inputs))
        if len(inputs) > limit:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 1.00 GiB')
        return extract(inputs, **kwargs)

    monkeypatch.setattr(classifier.model, 'extract_feat', limited)
    return sizes


def test_batches_are_halved_until_they_fit(classifier, clips, monkeypatch):
    text = classifier.vocabulary(LABELS).features
    expected = classifier._computer.probabilities(clips, text)
    computer = Computer(classifier.model, classifier.device, None, 16)
    sizes = out_of_memory_above(1, classifier, monkeypatch)
    found = computer.probabilities(clips, text)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert sizes == [5, 2, 1, 1, 1, 1, 1]
    assert computer.batch_size == 1


def test_one_clip_that_does_not_fit_is_told(classifier, clips, monkeypatch):
    out_of_memory_above(0, classifier, monkeypatch)
    computer = Computer(classifier.model, classifier.device, None, 4)
    with pytest.raises(ConfigError, match='memory of cpu does not suffice for one clip'):
        computer.embeddings(clips)


def test_other_errors_are_not_taken_for_memory(classifier, clips, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError('mat1 and mat2 shapes cannot be multiplied')

    monkeypatch.setattr(classifier.model, 'extract_feat', broken)
    with pytest.raises(RuntimeError, match='mat1 and mat2'):
        classifier._computer.embeddings(clips)


def test_many_labels_in_parts(classifier, clips, monkeypatch):
    vocabulary = classifier.vocabulary([f'a circle {n}' for n in range(50)])
    whole = classifier.scores(clips, vocabulary)
    monkeypatch.setattr(computing, 'MAX_PAIRS', 14)
    torch.testing.assert_close(classifier.scores(clips, vocabulary), whole, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_precision(classifier, clips, dtype):
    computer = Computer(classifier.model, classifier.device, dtype, 4)
    text = classifier.vocabulary(LABELS).features
    found = computer.probabilities(clips, text)
    assert found.dtype == torch.float32
    exact = classifier._computer.probabilities(clips, text)
    assert (found - exact).abs().max() < 0.05
    assert not torch.equal(found, exact)


def test_views_are_averaged_as_in_testing(classifier, videos):
    from mmaction.structures import ActionDataSample

    cfg = classifier.cfg.copy()
    pipeline = cfg.test_dataloader.dataset.pipeline
    steps = [dict(step) for step in pipeline]
    steps[1]['num_clips'] = 2
    steps[3] = dict(type='Resize', scale=(-1, 64))
    steps.insert(4, dict(type='ThreeCrop', crop_size=64))
    cfg.test_dataloader.dataset.pipeline = steps
    many = VideoClassifier(cfg, device='cpu', views='config', batch_size=4)
    clip = many.prepare(videos[0])
    assert clip.shape == (6, 3, 8, 64, 64)
    scores = many.scores(clip[None], many.vocabulary())
    (sample,) = many.model.test_step({'inputs': [clip], 'data_samples': [ActionDataSample()]})
    torch.testing.assert_close(scores[0], sample.pred_score, rtol=1e-4, atol=1e-6)
    single = VideoClassifier(cfg, device='cpu')
    assert single.prepare(videos[0]).shape == (1, 3, 8, 64, 64)


def test_logits_are_averaged_where_the_head_says_so(classifier, clips):
    text = classifier.vocabulary(LABELS).features
    computer = Computer(classifier.model, classifier.device, None, 4)
    pair = torch.cat([clips[:1], clips[1:2]], dim=1)  # one video of two views
    head = classifier.model.cls_head
    logits = computer.logits(computer.features(clips[:2]), text)
    before = head.average_clips
    try:
        for name, expected in (
            ('prob', logits.softmax(-1).mean(0)),
            ('score', logits.mean(0).softmax(-1)),
        ):
            head.average_clips = name
            torch.testing.assert_close(
                computer.probabilities(pair, text)[0], expected, rtol=1e-4, atol=1e-6
            )
    finally:
        head.average_clips = before


def test_devices():
    assert device_of('auto').type in ('cpu', 'cuda', 'mps')
    assert device_of('cpu') == torch.device('cpu')
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="device='cuda' cannot be used"):
            device_of('cuda')
