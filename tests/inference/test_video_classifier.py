"""VideoClassifier: what it takes, what it gives, and that it agrees with testing."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from video_files import truncated, write_video

from mmxclip import VideoClassifier
from mmxclip.apis.config_names import find_config
from mmxclip.errors import CheckpointError, ConfigError, DataError
from mmxclip.inference.results import VideoFailure

LABELS = ['a red circle growing', 'a blue square moving up', 'a green triangle']
FRAMES = np.random.default_rng(0).integers(0, 256, (11, 50, 70, 3), dtype=np.uint8)


def test_one_video(classifier, videos):
    result = classifier(videos[0], labels=LABELS, top_k=2)
    assert result.video == videos[0]
    assert [set(item) for item in result.predictions] == [{'label', 'score'}] * 2
    first, second = result.predictions
    assert first.label in LABELS
    assert 1 >= first.score >= second.score >= 0


def test_several_videos_in_their_order(classifier, videos):
    results = classifier([Path(video) for video in videos], labels=LABELS)
    assert [item.video for item in results] == videos
    for item in results:
        assert len(item.predictions) == 3
        assert sum(p.score for p in item.predictions) == pytest.approx(1, abs=1e-5)
        alone = classifier(item.video, labels=LABELS)
        assert [p.label for p in alone.predictions] == [p.label for p in item.predictions]
        assert alone.predictions[0].score == pytest.approx(item.predictions[0].score, abs=1e-5)


def test_results_as_plain_data(classifier, videos):
    results = classifier(videos[:2], labels=LABELS, top_k=2)
    plain = results.to_dict()
    assert json.loads(json.dumps(results)) == plain
    assert pickle.loads(pickle.dumps(results[0])) == results[0]
    assert type(plain[0]['predictions'][0]) is dict
    assert [row['rank'] for row in results.rows()] == [1, 2, 1, 2]
    frame = pytest.importorskip('pandas') and results.to_pandas()
    assert list(frame.columns) == ['video', 'rank', 'label', 'score']
    assert len(frame) == 4


def test_classes_of_the_config_by_default(classifier, videos):
    names = {p.label for p in classifier(videos[0], top_k=1000).predictions}
    assert names == set(classifier.classes)


def test_array_and_tensor_agree_with_the_file(classifier, tmp_path):
    from decord import VideoReader

    path = write_video(tmp_path / 'a.mp4', num_frames=20)
    frames = VideoReader(str(path)).get_batch(range(20)).asnumpy()
    of_file, of_array, of_tensor = (
        classifier.prepare(video) for video in (path, frames, torch.from_numpy(frames))
    )
    assert torch.equal(of_file, of_array)
    assert torch.equal(of_file, of_tensor)


@pytest.mark.parametrize('count', [1, 3, 8, 9, 100])
def test_any_number_of_frames(classifier, count):
    clip = classifier.prepare(np.zeros((count, 40, 30, 3), np.uint8))
    assert clip.shape == (1, 3, 8, 64, 64)


def test_several_arrays(classifier):
    results = classifier(np.stack([FRAMES, FRAMES]), labels=LABELS)
    assert [item.video for item in results] == ['<frames 0>', '<frames 1>']
    assert results[0].predictions == results[1].predictions


def test_scores_are_those_of_testing(classifier, videos):
    """The model's own predict(), on the same clips with the config's classes."""
    clips = torch.stack([classifier.prepare(video) for video in videos])
    scores = classifier.scores(clips, classifier.vocabulary())
    from mmaction.structures import ActionDataSample

    samples = [ActionDataSample() for _ in clips]
    out = classifier.model.test_step({'inputs': list(clips), 'data_samples': samples})
    expected = torch.stack([sample.pred_score for sample in out])
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-6)


def test_streams_past_bad_videos(classifier, videos, tmp_path):
    bad = str(truncated(tmp_path / 'bad.mp4'))
    absent = str(tmp_path / 'absent.mp4')
    given = [bad, *videos[:3], absent, *videos[3:], bad]
    results = list(classifier.stream(iter(given), labels=LABELS))
    assert [item.video for item in results] == given
    failures = [item for item in results if isinstance(item, VideoFailure)]
    assert [item.video for item in failures] == [bad, absent, bad]
    assert all(item.video in str(item.error) for item in failures)
    assert 'annotation' not in str(failures[0].error)


def test_stream_takes_videos_as_they_are_needed(classifier, videos):
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield videos[0]

    stream = classifier.stream(endless(), labels=LABELS)
    assert next(stream).video == videos[0]
    stream.close()
    assert len(taken) < 30


def test_nothing_in_nothing_out(classifier):
    assert classifier([], labels=LABELS) == []
    assert classifier.encode_video([]).shape == (0, 64)


def test_embeddings(classifier, videos):
    video, text = classifier.encode_video(videos), classifier.encode_text(LABELS)
    assert video.shape == (5, 64)
    assert text.shape == (3, 64)
    for rows in (video, text):
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))
    torch.testing.assert_close(classifier.encode_video(videos[1]), video[1:2], rtol=0, atol=1e-5)
    torch.testing.assert_close(classifier.encode_text('a green triangle'), text[2:])


def test_template(classifier, videos):
    plain = classifier(videos[0], labels=['a red circle', 'a blue square'])
    same = classifier(videos[0], labels=['red circle', 'blue square'], template='a {}')
    assert [p.score for p in plain.predictions] == [p.score for p in same.predictions]
    assert {p.label for p in same.predictions} == {'red circle', 'blue square'}


@pytest.mark.parametrize(
    ('changes', 'match'),
    [
        (dict(labels=[]), 'classes is empty'),
        (dict(labels=['x']), 'is one label'),
        (dict(labels='x, y'), 'is one string'),
        (dict(labels=['x', 'X']), 'is given twice'),
        (dict(labels=['x', '']), 'class name 1 is empty'),
        (dict(labels=['x', 'y ' * 2500]), 'tokens, more than context_length'),
        (dict(top_k=0), 'top_k=0 must be a whole number'),
        (dict(top_k=1.5), 'top_k=1.5'),
        (dict(template='no place'), 'must hold'),
        (dict(videos=7), 'videos=7 is of type int'),
        (dict(videos={'a': 1}), 'of type dict'),
    ],
)
def test_wrong_arguments(classifier, videos, changes, match):
    with pytest.raises(ConfigError, match=match):
        classifier(**{'videos': videos[0], 'labels': LABELS, **changes})


@pytest.mark.parametrize(
    ('video', 'match'),
    [
        (FRAMES.astype(np.float32), 'is of type float32; expected frames'),
        (FRAMES[0], r'shape \(50, 70, 3\)'),
        (FRAMES.transpose(0, 3, 1, 2), r'shape \(11, 3, 50, 70\)'),
        (FRAMES[:0], r'shape \(0, 50, 70, 3\)'),
        ([object()], '<frames 0> is of type object'),
        ('absent.mp4', 'absent.mp4 does not exist'),
        ('\0.mp4', 'cannot be read|does not exist'),
        ('x' * 5000, 'cannot be read'),
        ('.', 'is a folder'),
    ],
)
def test_wrong_videos(classifier, video, match):
    with pytest.raises(DataError, match=match):
        classifier(video, labels=LABELS)


@pytest.mark.parametrize(
    ('arguments', 'error', 'match'),
    [
        (dict(model='nonsense'), ConfigError, 'neither a file nor the name'),
        (dict(device='nonsense'), ConfigError, "device='nonsense' cannot be used"),
        (dict(dtype='int8'), ConfigError, "dtype='int8' is not known"),
        (dict(batch_size=0), ConfigError, 'batch_size=0'),
        (dict(views='many'), ConfigError, "views='many'"),
        (dict(checkpoint='absent.pth'), CheckpointError, 'absent.pth'),
        (dict(checkpoint='ftp://host/a.pth'), CheckpointError, 'address of a kind'),
        (dict(model='xclip_l14_k400'), CheckpointError, r'no weights .*give a checkpoint'),
    ],
)
def test_wrong_models(arguments, error, match):
    with pytest.raises(error, match=match):
        VideoClassifier(**{'model': 'xclip_tiny_motion', 'device': 'cpu', **arguments})


def test_a_model_without_words_is_refused():
    cfg = Config.fromfile(find_config('xclip_tiny_motion'))
    cfg.model.cls_head = dict(type='TSNHead', num_classes=2, in_channels=64)
    with pytest.raises(ConfigError, match='cls_head of type TSNHead'):
        VideoClassifier(cfg, device='cpu')


def test_a_checkpoint_fills_the_model(classifier, videos, tmp_path):
    file = tmp_path / 'weights.pth'
    model = VideoClassifier('xclip_tiny_motion', device='cpu').model
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1)
    torch.save({'state_dict': model.state_dict()}, file)
    other = VideoClassifier('xclip_tiny_motion', file, device='cpu')
    for name, value in other.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert classifier(videos[0], LABELS) != other(videos[0], LABELS)


def test_half_of_a_checkpoint_is_refused(classifier, tmp_path):
    part = {k: v for k, v in classifier.model.state_dict().items() if not k.startswith('neck.')}
    torch.save({'state_dict': part}, tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match=r'tensors are missing \(first neck\.'):
        VideoClassifier('xclip_tiny_motion', tmp_path / 'part.pth', device='cpu')


def test_untrained_parts_are_told_and_the_same_each_time(classifier, videos, warned):
    again = VideoClassifier('xclip_tiny_motion', device='cpu')
    assert any('are untrained' in text for text in warned())
    assert again(videos[0], LABELS) == classifier(videos[0], LABELS)


@pytest.mark.parametrize('count', [2, 1500])
def test_a_second_process_does_not_encode_texts(classifier, videos, monkeypatch, count):
    labels = [f'thing {index} of {count}' for index in range(count)]
    expected = classifier(videos[0], labels)
    other = VideoClassifier('xclip_tiny_motion', device='cpu')
    encoder = other.model.cls_head.text_encoder
    read = []
    monkeypatch.setattr(encoder, 'forward', lambda tokens: pytest.fail('encoded'))
    tokenize = encoder.tokenize
    monkeypatch.setattr(encoder, 'tokenize', lambda texts: read.append(texts) or tokenize(texts))
    assert other(videos[0], labels) == expected
    assert len(read) == (1 if count == 2 else 0)


def test_few_vocabularies_stay_in_memory(classifier):
    for index in range(20):
        classifier.vocabulary([f'a {index}', f'b {index}'])
    assert len(classifier._vocabularies) == 8
    assert torch.equal(
        classifier.vocabulary(LABELS).features, classifier.vocabulary(LABELS).features
    )


@pytest.mark.parametrize('target', ['official', 'hf'])
def test_foreign_checkpoints(classifier, videos, tmp_path, target):
    """Those of the authors and of transformers, as they are."""
    from mmxclip.checkpoints import convert_state_dict

    state_dict = convert_state_dict(classifier.model.state_dict(), target=target)
    wrapped = {'model': state_dict} if target == 'official' else state_dict
    torch.save(wrapped, tmp_path / 'foreign.pth')
    other = VideoClassifier('xclip_tiny_motion', tmp_path / 'foreign.pth', device='cpu')
    assert other(videos[0], LABELS) == classifier(videos[0], LABELS)


def test_image_text_weights_leave_the_rest_as_drawn(classifier, videos, tmp_path, warned):
    """The same as starting from them without a checkpoint."""
    from mmxclip.models.weights.open_clip_pretrained import (
        expand_token_rows,
        load_state_dict,
        packaged_weights,
    )

    path = packaged_weights('tiny_clip_motion.safetensors')
    torch.save(expand_token_rows(load_state_dict(path)), tmp_path / 'clip.pth')
    other = VideoClassifier('xclip_tiny_motion', tmp_path / 'clip.pth', device='cpu')
    assert any('keep their initial values' in text for text in warned())
    assert all(value.isfinite().all() for value in other.model.state_dict().values())
    prompt = other.model.cls_head.prompt.layers[0].mlp.fc1.weight
    assert prompt.std() == pytest.approx(0.02, rel=0.2)
    assert [p.label for p in other(videos[0], LABELS).predictions] == [
        p.label for p in classifier(videos[0], LABELS).predictions
    ]


def test_a_config_by_path(tmp_path, videos, classifier):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = '{find_config('xclip_tiny_motion')}'\n")
    mine = VideoClassifier(path, device='cpu')
    assert mine.name is None
    assert mine(videos[0], LABELS) == classifier(videos[0], LABELS)
