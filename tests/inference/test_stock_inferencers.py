"""MMAction2's own inferencers with our names, in a process that imports either package first."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmaction.apis.inferencers import ActionRecogInferencer, MMAction2Inferencer

from mmxclip.errors import CheckpointError


@pytest.fixture(scope='module')
def weights(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'tiny.pth'
    torch.save({'state_dict': classifier.model.state_dict()}, path)
    return str(path)


def test_mmaction2_inferencer(classifier, videos, weights):
    inferencer = MMAction2Inferencer(rec='xclip_tiny_motion', rec_weights=weights, device='cpu')
    found = inferencer(videos[:2], batch_size=2)['predictions']
    for video, item in zip(videos, found, strict=False):
        expected = classifier(video, top_k=5).predictions
        (names,), (scores,) = item['rec_names'], item['rec_scores']
        assert names == [p.label for p in expected]
        assert sorted(scores, reverse=True)[:5] == pytest.approx(
            [p.score for p in expected], abs=1e-4
        )


def test_names_are_in_the_file_too(videos, weights, tmp_path):
    inferencer = MMAction2Inferencer('xclip_tiny_motion', weights, 'cpu')
    path = tmp_path / 'out.json'
    result = inferencer(videos[0], pred_out_file=str(path))
    assert json.loads(path.read_text())['predictions'] == result['predictions']
    assert result['visualization'] is None


@pytest.mark.parametrize('kind', ['video', 'array'])
def test_action_recog_inferencer(videos, weights, kind):
    inferencer = ActionRecogInferencer(
        'xclip_tiny_motion', weights, 'cpu', input_format=kind, scope='mmaction'
    )
    frames = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)
    given = videos[0] if kind == 'video' else frames
    (result,) = inferencer(given)['predictions']
    assert result['pred_names'][0] == inferencer.model.cls_head.classes[result['pred_labels'][0]]
    assert len(result['pred_names']) == 5


def test_published_weights_come_by_name(monkeypatch):
    asked = []

    def refuse(url, *_, **__):
        asked.append(url)
        raise CheckpointError('no network in tests')

    monkeypatch.setattr('mmxclip.checkpoints.loaders.load_url', refuse)
    with pytest.raises(CheckpointError, match='no network in tests'):
        ActionRecogInferencer('xclip_b32_k400', device='cpu')
    assert asked[0].endswith('/k400_32_8.pth')


def test_unknown_names_end_as_before():
    with pytest.raises(ValueError, match='Cannot find model: nonsense in mmaction'):
        ActionRecogInferencer('nonsense', device='cpu')


def test_either_package_may_come_first():
    """In this process it was mmxclip."""
    code = """
import mmaction.registry, mmxclip
from mmaction.apis import ActionRecogInferencer, MMAction2Inferencer
print(ActionRecogInferencer.knows_mmxclip, MMAction2Inferencer.knows_mmxclip)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.split() == ['True', 'True'], done.stderr
