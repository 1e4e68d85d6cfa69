from __future__ import annotations

import copy

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.optim import OptimWrapper
from mmengine.runner.checkpoint import load_checkpoint
from small_models import (
    CLASSES,
    HEAD,
    IMG_SIZE,
    JOINT_WIDTH,
    NECK,
    NUM_FRAMES,
    NUM_PATCHES,
    NUM_ROWS,
    VISION,
    VISION_WIDTH,
    video,
    xclip,
)
from torch import nn

from mmxclip.errors import CheckpointError, ConfigError
from mmxclip.models.common import FrameFeatures, VideoFeatures

VIEWS, K = 4, len(CLASSES)


def samples(*labels: int) -> list[ActionDataSample]:
    return [ActionDataSample().set_gt_label(label) for label in labels]


class TestStages:
    """``mode='tensor'`` stops after each part; rows are views within videos."""

    ROWS = NUM_ROWS * VIEWS

    def test_backbone(self):
        model, inputs = xclip().eval(), video(NUM_ROWS, VIEWS)
        features = model(inputs, stage='backbone')
        assert isinstance(features, FrameFeatures)
        assert features.frames.shape == (self.ROWS, NUM_FRAMES, JOINT_WIDTH)
        assert features.patches.shape == (self.ROWS, NUM_FRAMES, NUM_PATCHES, VISION_WIDTH)
        torch.testing.assert_close(features, model.backbone(inputs.flatten(0, 1)))
        torch.testing.assert_close(model(inputs), features)  # the default, as in MMAction2

    def test_neck(self):
        model, inputs = xclip().eval(), video(NUM_ROWS, VIEWS)
        features = model(inputs, stage='neck')
        assert isinstance(features, VideoFeatures)
        expected, _ = model.neck(model(inputs, stage='backbone'))
        torch.testing.assert_close(features, expected)

    def test_head(self):
        model, inputs = xclip().eval(), video(NUM_ROWS, VIEWS)
        logits = model(inputs, stage='head')
        assert logits.shape == (self.ROWS, K)
        torch.testing.assert_close(logits, model.cls_head(model(inputs, stage='neck')))

    @torch.no_grad()
    def test_rows_are_views_within_videos(self):
        model, inputs = xclip().eval(), video(NUM_ROWS, VIEWS)
        logits = model(inputs, stage='head')
        for n in range(NUM_ROWS):
            for m in range(VIEWS):
                alone = model(inputs[n : n + 1, m : m + 1], stage='head')[0]
                torch.testing.assert_close(logits[n * VIEWS + m], alone, rtol=1e-4, atol=1e-4)

    def test_without_a_neck(self):
        """Frames are averaged by the head."""
        model = xclip(neck=None).eval()
        baseline = xclip(neck=dict(type='FrameAverage')).eval()
        inputs = video(NUM_ROWS, VIEWS)
        torch.testing.assert_close(model(inputs, stage='head'), baseline(inputs, stage='head'))
        assert isinstance(model(inputs, stage='neck'), FrameFeatures)

    def test_without_a_head(self):
        model = xclip(cls_head=None)
        assert model(video(1, 1), stage='neck').video.shape == (1, JOINT_WIDTH)
        with pytest.raises(ConfigError, match="stage='head' was asked of a model that has no"):
            model(video(1, 1), stage='head')

    def test_unknown(self):
        with pytest.raises(ConfigError, match=r"stage='logits' is not known; .*'neck', 'head'"):
            xclip()(video(1, 1), stage='logits')

    def test_unknown_mode(self):
        with pytest.raises(RuntimeError, match='Invalid mode "train"'):
            xclip()(video(1, 1), mode='train')


@pytest.mark.parametrize(('batch', 'views'), [(1, 1), (2, 1), (1, 12), (2, 12)])
@torch.no_grad()
def test_prediction_averages_the_views(batch, views):
    model, inputs = xclip().eval(), video(batch, views)
    predictions = model(inputs, samples(*range(batch)), mode='predict')
    assert len(predictions) == batch
    for n, prediction in enumerate(predictions):
        alone = [model(inputs[n : n + 1, m : m + 1], stage='head')[0] for m in range(views)]
        expected = sum(row.softmax(dim=0) for row in alone) / views
        torch.testing.assert_close(prediction.pred_score, expected, rtol=1e-4, atol=1e-5)
        assert prediction.pred_label.tolist() == [int(expected.argmax())]


@pytest.mark.parametrize('chunk', [1, 3, 8, 100])
@pytest.mark.parametrize('batch', [1, 2])
@torch.no_grad()
def test_bounded_views_change_nothing(chunk, batch):
    """``max_testing_views`` works with any batch, which the stock recognizer refuses."""
    inputs = video(batch, VIEWS)
    expected = xclip().eval()(inputs, samples(*range(batch)), mode='predict')
    model = xclip(test_cfg=dict(max_testing_views=chunk)).eval()
    sizes = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    actual = model(inputs, samples(*range(batch)), mode='predict')
    assert max(sizes) <= chunk
    assert sum(sizes) == batch * VIEWS
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a.pred_score, e.pred_score, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('stage', ['backbone', 'neck', 'head'])
@pytest.mark.parametrize('neck', [NECK, None])
@torch.no_grad()
def test_bounded_views_keep_the_kind_of_output(stage, neck):
    inputs = video(2, VIEWS)
    whole = xclip(neck=neck).eval().extract_feat(inputs, stage, test_mode=True)
    model = xclip(neck=neck, test_cfg=dict(max_testing_views=3)).eval()
    parts = model.extract_feat(inputs, stage, test_mode=True)
    assert type(parts[0]) is type(whole[0])
    assert parts[1] == whole[1]
    torch.testing.assert_close(parts[0], whole[0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_bounded_views_of_stock_parts():
    """Several maps per stage, as SlowFast gives them, and features without patches."""

    class TwoPathways(nn.Module):
        def forward(self, x):
            return x[:, :1], [x[:, 1:], x.mean(dim=(2, 3, 4))]

    model = xclip(test_cfg=dict(max_testing_views=3)).eval()
    model.backbone, model.neck = TwoPathways(), None
    inputs = video(2, VIEWS)
    slow, (fast, pooled) = model.extract_feat(inputs, 'backbone', test_mode=True)[0]
    expected = TwoPathways()(inputs.flatten(0, 1))
    torch.testing.assert_close((slow, [fast, pooled]), expected)


class TestTraining:
    def test_loss(self):
        model = xclip()
        inputs, labels = video(NUM_ROWS, 1), samples(3, 0)
        losses = model(inputs, labels, mode='loss')
        assert set(losses) == {'loss_cls', 'top1_acc', 'top5_acc'}
        logits = model(inputs, stage='head')
        expected = nn.functional.cross_entropy(logits, torch.tensor([3, 0]))
        torch.testing.assert_close(losses['loss_cls'], expected)

    def test_several_views(self):
        """Stock recognizers fail here."""
        model = xclip()
        inputs = video(NUM_ROWS, VIEWS)
        loss = model(inputs, samples(3, 0), mode='loss')['loss_cls']
        target = torch.tensor([3] * VIEWS + [0] * VIEWS)
        expected = nn.functional.cross_entropy(model(inputs, stage='head'), target)
        torch.testing.assert_close(loss, expected)

    def test_every_trainable_parameter_has_a_part(self):
        """Otherwise several processes would wait for its gradient."""
        model = xclip()
        model(video(NUM_ROWS, 1), samples(3, 0), mode='loss')['loss_cls'].backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad.abs().max() > 0, name
            else:
                assert name.startswith(('cls_head.text_encoder.', 'cls_head.logit_scale'))
                assert parameter.grad is None

    def test_overfits_four_clips(self):
        """The loss falls to under a hundredth, and every clip is told apart."""
        torch.manual_seed(0)
        model = MODELS.build(dict(type='XCLIP', backbone=VISION, neck=NECK, cls_head=HEAD)).train()
        with torch.no_grad():
            model.cls_head.logit_scale.fill_(3.0)
        inputs, labels = video(4, 1), (0, 1, 3, 4)
        optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad], lr=3e-3, weight_decay=0
        )
        losses = []
        for _ in range(60):
            loss = model(inputs, samples(*labels), mode='loss')['loss_cls']
            losses.append(float(loss.detach()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert losses[-1] < losses[0] / 100
        with torch.no_grad():
            predictions = model.eval()(inputs, samples(*labels), mode='predict')
        assert [int(p.pred_label) for p in predictions] == list(labels)


class TestSteps:
    """From what a data loader gives, through the preprocessor."""

    PREPROCESSOR = dict(
        type='ActionDataPreprocessor',
        mean=[110.0, 120.0, 130.0],
        std=[50.0, 60.0, 70.0],
        format_shape='NCTHW',
    )

    def batch(self, views: int) -> dict:
        shape = (views, 3, NUM_FRAMES, IMG_SIZE, IMG_SIZE)
        generator = torch.Generator().manual_seed(4)
        clips = [
            torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator) for _ in range(2)
        ]
        return dict(inputs=clips, data_samples=samples(1, 4))

    def test_test_step(self):
        model = xclip(data_preprocessor=self.PREPROCESSOR).eval()
        batch = self.batch(VIEWS)
        predictions = model.test_step(copy.deepcopy(batch))
        mean, std = (
            torch.tensor(self.PREPROCESSOR[key]).view(3, 1, 1, 1) for key in ('mean', 'std')
        )
        inputs = torch.stack([(clip - mean) / std for clip in batch['inputs']])
        expected = model(inputs, samples(1, 4), mode='predict')
        for a, e in zip(predictions, expected, strict=True):
            torch.testing.assert_close(a.pred_score, e.pred_score)

    def test_train_step(self):
        model = xclip(data_preprocessor=self.PREPROCESSOR).train()
        before = {name: p.clone() for name, p in model.named_parameters()}
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        log = model.train_step(self.batch(1), OptimWrapper(optimizer))
        assert set(log) == {'loss', 'loss_cls', 'top1_acc', 'top5_acc'}
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, before[name]) != parameter.requires_grad, name

    def test_blending(self):
        """Mixed labels from the preprocessor reach the loss as they are."""
        blending = dict(type='MixupBlending', num_classes=K, alpha=0.8)
        model = xclip(data_preprocessor=self.PREPROCESSOR | dict(blending=blending)).train()
        data = model.data_preprocessor(self.batch(1), training=True)
        labels = torch.stack([sample.gt_label for sample in data['data_samples']])
        assert labels.shape == (2, K)
        losses = model(**data, mode='loss')
        log_probs = model(data['inputs'], stage='head').log_softmax(dim=1)
        torch.testing.assert_close(losses['loss_cls'], -(labels * log_probs).sum(dim=1).mean())

    def test_the_default_preprocessor_fits(self):
        predictions = xclip().eval().test_step(self.batch(VIEWS))
        assert predictions[0].pred_score.shape == (K,)


@torch.no_grad()
def test_non_contiguous_inputs():
    """Views of a larger tensor, with several crops, as slicing leaves them."""
    model = xclip().eval()
    inputs = video(NUM_ROWS, VIEWS)
    strided = inputs.permute(5, 4, 3, 2, 1, 0).contiguous().permute(5, 4, 3, 2, 1, 0)
    assert not strided.is_contiguous()
    torch.testing.assert_close(model(strided, stage='head'), model(inputs, stage='head'))


@torch.no_grad()
def test_bfloat16_autocast():
    model, inputs = xclip().eval(), video(NUM_ROWS, VIEWS)
    expected = model(inputs, samples(0, 1), mode='predict')
    with torch.autocast('cpu', torch.bfloat16):
        predictions = model(inputs, samples(0, 1), mode='predict')
    for a, e in zip(predictions, expected, strict=True):
        assert a.pred_score.dtype == torch.float32
        torch.testing.assert_close(a.pred_score, e.pred_score, rtol=0, atol=0.15)


@torch.no_grad()
def test_copies_predict_alike():
    model, inputs = xclip().eval(), video(NUM_ROWS, 1)
    torch.testing.assert_close(
        copy.deepcopy(model)(inputs, stage='head'), model(inputs, stage='head')
    )


@pytest.mark.parametrize(
    ('shape', 'match'),
    [
        ((2, 9, 3, 12, 12), r"shape \(2, 9, 3, 12, 12\) do not fit XCLIP.*input_format='NCTHW'"),
        ((3, 3, 12, 12), r'expected \(N, M, C, T, H, W\)'),
        ((2, 1, 3, 3, 16, 16), r'frames of 16x16 pixels do not fit img_size=12'),
        ((2, 1, 1, 3, 12, 12), r'expected \(N, 3, T, H, W\)'),
    ],
)
def test_wrong_inputs(shape, match):
    with pytest.raises(ConfigError, match=match):
        xclip()(torch.zeros(shape))


def test_neck_of_another_width():
    with pytest.raises(ConfigError, match=r'do not fit embed_dims=30; .*set neck.embed_dims'):
        xclip(neck=NECK | dict(embed_dims=30))(video(1, 1), stage='neck')


class TestCheckpoints:
    """Through MMEngine, whose own loader would only log what does not fit."""

    def save(self, model: nn.Module, path) -> str:
        torch.save(dict(state_dict=model.state_dict(), meta={}), path)
        return str(path)

    def test_same_model(self, tmp_path):
        source, target = xclip(), xclip()
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.add_(0.1)
        load_checkpoint(target, self.save(source, tmp_path / 'a.pth'))
        assert all(map(torch.equal, target.parameters(), source.parameters()))

    def test_another_number_of_frames(self, tmp_path, warned):
        source = xclip(neck=NECK | dict(num_frames=5))
        target = xclip()
        load_checkpoint(target, self.save(source, tmp_path / 'a.pth'), strict=True)
        assert len(warned()) == 1
        assert 'neck.positional_embedding: the checkpoint was trained with 5 frames' in warned()[0]
        assert target(video(1, 1), stage='head').shape == (1, K)

    @pytest.mark.parametrize(
        ('changes', 'match'),
        [
            (
                dict(backbone=VISION | dict(img_size=20)),
                r'1 of \d+ weights .*backbone.positional_embedding is \(26, 20\) in the checkpoint '
                r'and \(10, 20\) in the model',
            ),
            (
                dict(
                    backbone=VISION | dict(embed_dims=30),
                    cls_head=HEAD | dict(patch_channels=30),
                ),
                r'backbone.class_embedding is \(30,\) in the checkpoint and \(20,\) in the model',
            ),
        ],
    )
    def test_other_sizes(self, tmp_path, changes, match):
        path = self.save(xclip(**changes), tmp_path / 'a.pth')
        target = xclip()
        before = [parameter.clone() for parameter in target.parameters()]
        with pytest.raises(CheckpointError, match=match):
            load_checkpoint(target, path)
        assert all(map(torch.equal, target.parameters(), before))

    @pytest.mark.parametrize('strict', [False, True])
    def test_foreign(self, tmp_path, strict):
        path = self.save(nn.Sequential(nn.Linear(3, 4)), tmp_path / 'a.pth')
        with pytest.raises(CheckpointError, match='shares no weight name with the model: it has 0'):
            load_checkpoint(xclip(), path, strict=strict)

    def test_wrapped_in_another_model(self):
        """The hook goes by its own part of the names."""
        outer = nn.ModuleDict(dict(student=xclip(), other=nn.Linear(2, 2)))
        wrong = nn.ModuleDict(
            dict(student=xclip(backbone=VISION | dict(img_size=20)), other=nn.Linear(2, 2))
        )
        with pytest.raises(CheckpointError, match=r'student.backbone.positional_embedding is'):
            outer.load_state_dict(wrong.state_dict())
        outer.load_state_dict(copy.deepcopy(outer).state_dict())


def test_large_model_builds_without_memory():
    """X-CLIP-L/14 at 336 pixels and 16 frames: the specification's count."""
    with torch.device('meta'):
        model = MODELS.build(
            dict(
                type='XCLIP',
                backbone=dict(
                    type='CrossFrameViT',
                    img_size=336,
                    patch_size=14,
                    embed_dims=1024,
                    num_layers=24,
                    output_dims=768,
                ),
                neck=dict(type='MultiFrameIntegrationTransformer', embed_dims=768, num_frames=16),
                cls_head=dict(
                    type='VideoPromptHead',
                    classes=CLASSES,
                    patch_channels=1024,
                    text_encoder=dict(type='CLIPTextEncoder', model='ViT-L-14-336-quickgelu'),
                ),
            )
        )
    assert sum(p.numel() for p in model.parameters()) == 576_007_425
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 452_357_120
    assert {p.device.type for p in model.parameters()} == {'meta'}
