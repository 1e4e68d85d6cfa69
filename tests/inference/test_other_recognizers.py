"""The head over MMAction2's own backbones: the classifier scores what testing scores."""

import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import Config

from mmxclip import VideoClassifier

HEAD = dict(
    type='VideoPromptHead',
    classes=['a circle', 'a square', 'a triangle'],
    in_channels=512,
    prompt=dict(num_layers=1, num_heads=2),
    text_encoder=dict(
        type='CLIPTextEncoder',
        output_dims=64,
        embed_dims=64,
        num_layers=1,
        num_heads=2,
        context_length=16,
    ),
)
FLAT = dict(
    type='Recognizer2D',
    backbone=dict(type='ResNet', depth=18, norm_eval=False),
    cls_head=HEAD,
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, format_shape='NCHW'
    ),
)
DEEP = dict(
    type='Recognizer3D',
    backbone=dict(
        type='ResNet3dSlowOnly', depth=18, pretrained=None, pretrained2d=False, lateral=False
    ),
    cls_head=HEAD,
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, format_shape='NCTHW'
    ),
)


def config(model, shape, views):
    """The config of a run, as far as predicting needs it."""
    pipeline = [
        dict(type='DecordInit'),
        dict(type='SampleFrames', clip_len=1, num_clips=4, test_mode=True)
        if shape == 'NCHW'
        else dict(type='SampleFrames', clip_len=4, num_clips=views, test_mode=True),
        dict(type='DecordDecode'),
        dict(type='Resize', scale=(-1, 32)),
        dict(type='ThreeCrop' if views > 1 else 'CenterCrop', crop_size=32),
        dict(type='FormatShape', input_format=shape),
        dict(type='PackActionInputs'),
    ]
    return Config(dict(model=model, test_dataloader=dict(dataset=dict(pipeline=pipeline))))


@pytest.mark.parametrize('views', [1, 2])
@pytest.mark.parametrize(('model', 'shape'), [(FLAT, 'NCHW'), (DEEP, 'NCTHW')])
def test_scores(videos, tmp_path, model, shape, views):
    from mmaction.registry import MODELS

    cfg = config(model, shape, views)
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, tmp_path / 'weights.pth')
    classifier = VideoClassifier(cfg, tmp_path / 'weights.pth', device='cpu', views='config')
    clips = torch.stack([classifier.prepare(video) for video in videos[:2]])
    scores = classifier.scores(clips, classifier.vocabulary())
    samples = [ActionDataSample() for _ in clips]
    out = classifier.model.test_step({'inputs': list(clips), 'data_samples': samples})
    expected = torch.stack([sample.pred_score for sample in out])
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-6)
    assert classifier.encode_video(videos[:2]).shape == (2, 64)
    assert len(classifier(videos[:2], top_k=1)) == 2


def test_one_view_of_a_2d_recognizer_keeps_its_frames(videos):
    from mmxclip.inference.pipelines import Preparation

    assert Preparation(config(FLAT, 'NCHW', 2))(videos[0], '').shape == (4, 3, 32, 32)
    assert Preparation(config(DEEP, 'NCTHW', 2))(videos[0], '').shape == (1, 3, 4, 32, 32)
