"""Decoding in threads: order, look-ahead, faults, and processes that end."""

import threading
import time

import pytest
import torch

from mmxclip.datasets import video_readers
from mmxclip.errors import DataError
from mmxclip.inference.feeding import Feeder


def slow_first(video, name):
    """The first video takes longest; a bad one raises."""
    if video == '0':
        time.sleep(0.05)
    if video == 'bad':
        raise DataError(f'{name} is bad')
    return torch.tensor([int(video)])


def test_order_is_kept():
    feeder = Feeder(slow_first, num_threads=4)
    found = list(feeder(map(str, range(20)), ahead=3))
    assert [name for name, _ in found] == [str(n) for n in range(20)]
    assert [int(value) for _, value in found] == list(range(20))
    feeder.close()


def test_faults_stand_in_their_place():
    feeder = Feeder(slow_first, num_threads=2)
    kinds = [type(value) for _, value in feeder(['0', 'bad', '1'], ahead=1)]
    assert kinds == [torch.Tensor, DataError, torch.Tensor]


def test_errors_of_the_software_are_not_hidden():
    feeder = Feeder(slow_first, num_threads=2)
    with pytest.raises(ValueError, match='invalid literal'):
        list(feeder(['1', 'nonsense'], ahead=1))


@pytest.mark.parametrize('ahead', [0, 1, 5])
def test_never_far_ahead(ahead):
    taken = []

    def videos():
        for index in range(100):
            taken.append(index)
            yield str(index + 1)

    feeder = Feeder(slow_first, num_threads=2)
    for count, _ in enumerate(feeder(videos(), ahead), start=1):
        assert len(taken) <= count + ahead + 2


def test_begins_before_it_is_asked():
    begun = threading.Event()
    feeder = Feeder(lambda video, name: begun.set() or torch.zeros(1), num_threads=1)
    results = feeder(['a'], ahead=1)
    assert begun.wait(5)
    assert len(list(results)) == 1


def test_decoding_runs_beside_computing(classifier, monkeypatch):
    """While a batch is computed, videos that come later are decoded."""
    count, clip = 20, torch.zeros(1, 3, 8, 64, 64, dtype=torch.uint8)
    decoded = threading.Semaphore(0)
    computed = []

    def prepare(video, name):
        decoded.release()
        return clip

    def probabilities(videos, text):
        for _ in videos if computed else range(len(videos) + 1):
            if sum(computed) + len(videos) < count:
                assert decoded.acquire(timeout=20), 'nothing is decoded while this computes'
        computed.append(len(videos))
        return torch.ones(len(videos), len(text))

    monkeypatch.setattr(classifier, '_feeder', Feeder(prepare, num_threads=1))
    monkeypatch.setattr(classifier._computer, 'probabilities', probabilities)
    results = classifier.stream(map(str, range(count)), ['a circle', 'a square'])
    assert [item.video for item in results] == [str(n) for n in range(count)]
    assert len(computed) > 3


def test_decoders_end_with_the_classifier(videos):
    from mmxclip import VideoClassifier

    classifier = VideoClassifier('xclip_tiny_motion', device='cpu', num_threads=2)
    before = dict(video_readers._children)
    classifier(videos, labels=['a circle', 'a square'])
    own = [child for key, child in video_readers._children.items() if before.get(key) is not child]
    processes = [child._process for child in own]
    assert 1 <= len(processes) <= 2
    classifier.close()
    assert all(process.poll() is not None for process in processes)
    assert len(classifier(videos, labels=['a circle', 'a square'])) == len(videos)
    classifier.close()
