"""Confusions: from a dump that cannot run code to counts, pairs and a picture."""

import io
import pickle

import mmengine
import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.evaluator import DumpResults

from mmxclip.errors import ConfigError, DataError
from mmxclip.visualization import confusion
from mmxclip.visualization.dumped import Dumped, read_dump

TRUTH, GUESS = [0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 2, 2]


@pytest.fixture
def dump(tmp_path):
    """What MMEngine writes for six videos of three classes."""
    samples = []
    for truth, guess in zip(TRUTH, GUESS, strict=True):
        sample = ActionDataSample().set_gt_label(truth).set_pred_label(guess)
        sample.set_pred_score(torch.eye(3)[guess])
        sample.set_metainfo({'img_shape': (32, 32), 'mean': np.float64(1.5)})
        samples.append(sample.to_dict())
    metric = DumpResults(str(tmp_path / 'out.pkl'))
    metric.process(None, samples)
    metric.compute_metrics(metric.results)
    return tmp_path / 'out.pkl'


def test_dump_is_read(dump):
    truth, guess, num_classes = read_dump(dump)
    assert (truth.tolist(), guess.tolist(), num_classes) == (TRUTH, GUESS, 3)


@pytest.mark.parametrize('dtype', [torch.float64, torch.float16, torch.bfloat16])
def test_views_of_a_storage_and_other_types(tmp_path, dtype):
    scores = torch.arange(12, dtype=dtype).reshape(3, 4).T  # strided, with offsets
    samples = [
        {'gt_label': torch.tensor([1]), 'pred_score': row} for row in (scores[1], -scores[2])
    ]
    mmengine.dump(samples, str(tmp_path / 'x.pkl'))
    assert read_dump(tmp_path / 'x.pkl').guess.tolist() == [2, 0]


class Harm:
    """Asks for ``call`` when it is unpickled."""

    def __init__(self, call, *args):
        self.answer = (call, args)

    def __reduce__(self):
        return self.answer


@pytest.mark.parametrize('place', ['alone', 'in a storage'])
def test_no_code_is_run(tmp_path, place):
    mark = tmp_path / 'mark'
    harm = Harm(eval, f'open({str(mark)!r}, "w")')
    if place == 'in a storage':
        buffer = io.BytesIO()
        torch.save(harm, buffer)
        harm = Harm(torch.storage._load_from_bytes, buffer.getvalue())
    file = tmp_path / 'x.pkl'
    file.write_bytes(pickle.dumps([harm]))
    message = (
        r'asks for builtins\.eval, which could run code'
        if place == 'alone'
        else 'a storage that is damaged or could run code'
    )
    with pytest.raises(DataError, match=message):
        read_dump(file)
    assert not mark.exists()


@pytest.mark.parametrize(
    ('offset', 'size', 'stride'),
    [(0, (5,), (1,)), (3, (2,), (1,)), (0, (2,), (9,)), (-1, (1,), (1,))],
)
def test_tensor_beyond_its_storage(tmp_path, offset, size, stride):
    storage = torch.zeros(4).storage()
    harm = Harm(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {})
    (tmp_path / 'x.pkl').write_bytes(pickle.dumps([{'pred_score': harm}]))
    with pytest.raises(DataError, match='cannot be read'):
        read_dump(tmp_path / 'x.pkl')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([], 'hold no list of videos'),
        ({'a': 1}, 'hold no list of videos'),
        ([{'pred_score': torch.ones(2)}], 'video 0 has no gt_label'),
        (
            [{'gt_label': torch.tensor([1, 2]), 'pred_score': torch.ones(3)}],
            'video 0 has no gt_label',
        ),
        ([{'gt_label': torch.tensor([3]), 'pred_score': torch.ones(3)}], 'do not count the same'),
    ],
)
def test_other_pickles(tmp_path, content, message):
    mmengine.dump(content, str(tmp_path / 'x.pkl'))
    with pytest.raises(DataError, match=message):
        read_dump(tmp_path / 'x.pkl')


@pytest.mark.parametrize('data', [b'', b'hello', None])
def test_other_files(tmp_path, data):
    if data is not None:
        (tmp_path / 'x.pkl').write_bytes(data)
    with pytest.raises(DataError, match='cannot be read'):
        read_dump(tmp_path / 'x.pkl')


def test_counts_pairs_and_csv():
    counts = confusion.count_confusions(Dumped(np.array(TRUTH), np.array(GUESS), 3))
    assert counts.tolist() == [[1, 2, 0], [0, 1, 1], [0, 0, 1]]
    pairs = confusion.confused_pairs(counts, ['a', 'b', 'c'], 5)
    assert [(p['true'], p['predicted'], p['videos'], p['of']) for p in pairs] == [
        ('a', 'b', 2, 3),
        ('b', 'c', 1, 2),
    ]
    assert pairs[0]['percent'] == pytest.approx(200 / 3)
    assert len(confusion.confused_pairs(counts, ['a', 'b', 'c'], 1)) == 1
    text = confusion.to_csv(counts, ['a, x', 'b', 'c'])
    assert text.splitlines()[:2] == ['true \\ predicted,"a, x",b,c', '"a, x",1,2,0']


def test_picture_shows_shares():
    figure = confusion.draw_confusions(np.array([[3, 1], [0, 0]]), ['$a', 'b' * 40])
    axes = figure.axes[0]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert axes.get_yticklabels()[1].get_text() == 'b' * 29 + '…'
    assert 'top-1 75.00 % of 4 videos' in axes.get_title()


def test_number_of_names():
    assert confusion.name_classes(None, 2) == ['0', '1']
    with pytest.raises(ConfigError, match='3 class names for predictions of 2 classes'):
        confusion.name_classes(['a', 'b', 'c'], 2)
