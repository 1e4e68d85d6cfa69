from __future__ import annotations

import math
import re

import pytest
import torch
from mmaction.structures import ActionDataSample
from small_models import (
    CLASSES,
    CONTEXT,
    HEAD,
    JOINT_WIDTH,
    NUM_FRAMES,
    NUM_PATCHES,
    TEXT,
    VISION_WIDTH,
    build,
)
from torch import Tensor, nn

from mmxclip.errors import ConfigError
from mmxclip.models.common import FrameFeatures, VideoFeatures

N, K = 2, len(CLASSES)
VIDEO = torch.randn(N, JOINT_WIDTH)
PATCHES = torch.randn(N, NUM_FRAMES, NUM_PATCHES, VISION_WIDTH)
FEATURES = VideoFeatures(VIDEO, PATCHES)


def samples(*labels: int | list[float]) -> list[ActionDataSample]:
    """One sample per label, hard or soft."""
    return [
        ActionDataSample().set_gt_label(
            label if isinstance(label, int) else torch.tensor(label, dtype=torch.float32)
        )
        for label in labels
    ]


def slow_logits(head: nn.Module, video: Tensor, prompts: Tensor | None) -> Tensor:
    """exp(s) * cos(v, c + prompt), one pair after the other; prompts ``(N, K, E)``."""
    text = head.text_features()
    rows = []
    for n, v in enumerate(video):
        row = []
        for k, c in enumerate(text):
            named = c if prompts is None else c + prompts[n, k]
            cosine = (v * named).sum() / (v.pow(2).sum().sqrt() * named.pow(2).sum().sqrt())
            row.append(head.logit_scale.exp() * cosine)
        rows.append(torch.stack(row))
    return torch.stack(rows)


class TestLogits:
    def test_formula(self):
        head = build(HEAD).double()
        video = VIDEO.double().requires_grad_()
        patches = PATCHES.double().requires_grad_()
        actual = head(VideoFeatures(video, patches))
        prompts = head.prompt(head.text_features(), patches)
        expected = slow_logits(head, video, prompts)
        assert actual.shape == (N, K)
        assert actual.dtype == torch.float64
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)

        inputs = [video, patches, *head.prompt.parameters()]
        weight = torch.randn_like(actual)
        own = torch.autograd.grad((actual * weight).sum(), inputs, retain_graph=True)
        slow = torch.autograd.grad((expected * weight).sum(), inputs)
        torch.testing.assert_close(own, slow, rtol=1e-8, atol=1e-9)
        assert all(gradient.abs().max() > 0 for gradient in own)

    def test_without_prompts(self):
        head = build(HEAD, prompt=None).double()
        expected = slow_logits(head, VIDEO.double(), None)
        for features in (FEATURES, VideoFeatures(VIDEO, None), VIDEO):
            features = (
                features.double()
                if isinstance(features, Tensor)
                else VideoFeatures(features.video.double(), features.patches)
            )
            torch.testing.assert_close(head(features), expected, rtol=1e-10, atol=1e-10)

    def test_prompts_need_patches(self):
        """With pooled features alone, the names are as they come from the text tower."""
        head = build(HEAD).double()
        expected = slow_logits(head, VIDEO.double(), None)
        torch.testing.assert_close(head(VIDEO.double()), expected, rtol=1e-10, atol=1e-10)

    def test_prompts_differ_between_videos(self):
        """The same video vector scores otherwise where the patches are another video's."""
        head = build(HEAD)
        same = VideoFeatures(VIDEO[:1].expand(N, -1), PATCHES)
        logits = head(same)
        assert (logits[0] - logits[1]).abs().min() > 1e-5

    @pytest.mark.parametrize(
        ('in_channels', 'kind'), [(None, nn.Identity), (JOINT_WIDTH, nn.Identity), (7, nn.Linear)]
    )
    def test_projection_of_other_widths(self, in_channels, kind):
        head = build(HEAD, in_channels=in_channels)
        assert isinstance(head.video_proj, kind)
        assert head.in_channels == in_channels or in_channels is None
        if kind is nn.Linear:
            video = torch.randn(N, 7)
            projected = video @ head.video_proj.weight.T + head.video_proj.bias
            torch.testing.assert_close(head(video), slow_logits(head, projected, None))
            assert head.new_parameter_names() == ['video_proj.weight', 'video_proj.bias']
        else:
            assert head.new_parameter_names() == []

    def test_forms_of_features(self):
        """Frames are averaged; a map of a clip is its places, by default as wide as the video."""
        frames = torch.randn(N, NUM_FRAMES, JOINT_WIDTH)
        head = build(HEAD)
        torch.testing.assert_close(
            head(FrameFeatures(frames, PATCHES)), head(VideoFeatures(frames.mean(dim=1), PATCHES))
        )
        stock = build(HEAD, in_channels=7, patch_channels=None)
        clip_map = torch.randn(N, 7, NUM_FRAMES, 2, 4)
        patches = clip_map.flatten(3).permute(0, 2, 3, 1)
        torch.testing.assert_close(
            stock(clip_map), stock(VideoFeatures(clip_map.mean(dim=(2, 3, 4)), patches))
        )
        folded = clip_map.transpose(1, 2).flatten(0, 1)
        torch.testing.assert_close(stock(folded, num_segs=NUM_FRAMES), stock(clip_map))

    def test_what_recognizers_pass_besides(self):
        head = build(HEAD)
        extra = dict(fcn_test=False, loss_aux={}, num_segs=3)
        torch.testing.assert_close(head(FEATURES, **extra), head(FEATURES))

    def test_permuted_classes_permute_logits(self):
        head = build(HEAD).double()
        features = VideoFeatures(VIDEO.double(), PATCHES.double())
        logits = head(features)
        order = [3, 0, 4, 1, 2]
        head.set_classes([CLASSES[k] for k in order])
        torch.testing.assert_close(head(features), logits[:, order], rtol=1e-10, atol=1e-10)

    def test_other_classes_do_not_matter(self):
        """The logit of a class is the same in any company."""
        head = build(HEAD).double()
        features = VideoFeatures(VIDEO.double(), PATCHES.double())
        logits = head(features)
        head.set_classes([CLASSES[2]])
        torch.testing.assert_close(head(features), logits[:, 2:3], rtol=1e-10, atol=1e-10)


class TestPrecision:
    def test_autocast(self):
        head = build(HEAD)
        expected = head(FEATURES)
        with torch.autocast('cpu', torch.bfloat16):
            logits = head(FEATURES)
            logits.sum().backward()
        assert logits.dtype == torch.float32
        scale = float(head.logit_scale.exp())
        torch.testing.assert_close(logits, expected, rtol=0, atol=0.02 * scale)
        assert not torch.equal(logits, expected)  # the prompts did run in half precision
        logits.detach().numpy()

    def test_half_precision_weights(self):
        head = build(HEAD).to(torch.bfloat16)
        logits = head(VideoFeatures(VIDEO.bfloat16(), PATCHES.bfloat16()))
        assert logits.dtype == torch.float32
        scale = float(head.logit_scale.exp())
        torch.testing.assert_close(logits, build(HEAD)(FEATURES), rtol=0, atol=0.05 * scale)

    def test_half_precision_features_of_a_float32_model(self):
        """As evaluation under autocast gives them."""
        head = build(HEAD, prompt=None)
        assert head(VIDEO.bfloat16()).dtype == torch.float32


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> float:
    """mean_n sum_k -y_nk log softmax(logits)_nk."""
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(x - max(row)) for x in row)) + max(row)
        total -= sum(y * (x - log_sum) for x, y in zip(row, target, strict=True))
    return total / len(logits)


def targets_of(labels: list[int] | list[list[float]], eps: float, count: int = K) -> Tensor:
    """Rows of probabilities: off = eps/K, on = 1 - eps + eps/K, and mixtures of the two."""
    rows = []
    for label in labels:
        row = [float(k == label) for k in range(count)] if isinstance(label, int) else label
        rows.append([(1 - eps) * y + eps / count for y in row])
    return torch.tensor(rows, dtype=torch.float64)


SOFT = [[0.7, 0.0, 0.3, 0.0, 0.0], [0.0, 0.25, 0.0, 0.0, 0.75]]


class TestLoss:
    @pytest.mark.parametrize('eps', [0.0, 0.1])
    @pytest.mark.parametrize('labels', [[4, 1], [2], SOFT, SOFT[:1]])
    def test_formula(self, labels, eps):
        """Hard, smoothed and mixed labels; also a single video."""
        head = build(HEAD, label_smooth_eps=eps)
        features = VideoFeatures(VIDEO[: len(labels)], PATCHES[: len(labels)])
        losses = head.loss(features, samples(*labels))
        expected = soft_cross_entropy(head(features), targets_of(labels, eps))
        assert losses['loss_cls'].item() == pytest.approx(expected, rel=1e-5)
        hard = isinstance(labels[0], int)
        assert set(losses) == {'loss_cls'} | ({'top1_acc', 'top5_acc'} if hard else set())

    def test_smoothed_targets_add_up(self):
        assert targets_of([1], 0.1)[0].tolist() == pytest.approx([0.02, 0.92, 0.02, 0.02, 0.02])

    @pytest.mark.parametrize('labels', [[1, 0], [1], [[0.5, 0.5], [1.0, 0.0]], [[0.9, 0.1]]])
    def test_two_classes(self, labels):
        """As many classes as videos, and fewer than the default top 5."""
        head = build(HEAD, classes=['running', 'walking'])
        features = VideoFeatures(VIDEO[: len(labels)], PATCHES[: len(labels)])
        losses = head.loss(features, samples(*labels))
        expected = soft_cross_entropy(head(features), targets_of(labels, 0.0, count=2))
        assert losses['loss_cls'].item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize('labels', [[4, 1], [2], SOFT, SOFT[:1]])
    def test_views_share_the_label_of_their_video(self, labels):
        views = 3
        head = build(HEAD, label_smooth_eps=0.1)
        video = torch.randn(len(labels) * views, JOINT_WIDTH)
        losses = head.loss(video, samples(*labels))
        repeated = [label for label in labels for _ in range(views)]
        expected = soft_cross_entropy(head(video), targets_of(repeated, 0.1))
        assert losses['loss_cls'].item() == pytest.approx(expected, rel=1e-5)

    def test_accuracies(self):
        head = build(HEAD, topk=(1, 2))
        logits = torch.tensor([[0.0, 1, 2, 3, 4], [4.0, 3, 2, 1, 0]])
        losses = head.loss_by_feat(logits, samples(4, 1))
        assert float(losses['top1_acc']) == 0.5
        assert float(losses['top2_acc']) == 1.0

    def test_gradients(self):
        """The new parts learn; text tower and temperature are frozen."""
        head = build(HEAD)
        head.loss(FEATURES, samples(0, 3))['loss_cls'].backward()
        learned = {name for name, p in head.named_parameters() if p.grad is not None}
        assert learned == {name for name, _ in head.named_parameters() if name.startswith('prompt')}
        assert all(head.get_parameter(name).grad.abs().max() > 0 for name in learned)

    def test_trainable_temperature(self):
        head = build(HEAD, train_logit_scale=True)
        head.loss(FEATURES, samples(0, 3))['loss_cls'].backward()
        assert head.logit_scale.grad.abs() > 0

    @pytest.mark.parametrize('label', [-1, K, 99])
    def test_labels_out_of_range(self, label):
        with pytest.raises(ConfigError, match=rf'label {label} is out of range for {K} classes'):
            build(HEAD).loss(FEATURES, samples(0, label))

    def test_short_integers_are_labels_too(self):
        head = build(HEAD)
        sample = ActionDataSample()
        sample.gt_label = torch.tensor([7], dtype=torch.int32)
        with pytest.raises(ConfigError, match='label 7 is out of range'):
            head.loss(VIDEO[:1], [sample])

    def test_soft_labels_of_another_length(self):
        match = rf'soft labels have 3 entries for {K} classes; set num_classes of the blending'
        with pytest.raises(ConfigError, match=match):
            build(HEAD).loss(FEATURES, samples([0.5, 0.5, 0.0], [1.0, 0.0, 0.0]))

    def test_rows_that_are_no_multiple_of_the_videos(self):
        with pytest.raises(ConfigError, match='3 rows of logits for 2 videos'):
            build(HEAD).loss(torch.randn(3, JOINT_WIDTH), samples(0, 1))


class TestPredictions:
    VIEWS = 3

    @pytest.mark.parametrize('average_clips', ['prob', 'score'])
    @torch.no_grad()
    def test_views_are_averaged(self, average_clips):
        head = build(HEAD, average_clips=average_clips)
        video = torch.randn(N * self.VIEWS, JOINT_WIDTH)
        logits = head(video)
        predictions = head.predict(video, samples(0, 1))
        for n, prediction in enumerate(predictions):
            rows = logits[n * self.VIEWS : (n + 1) * self.VIEWS]
            rows = rows.softmax(dim=1) if average_clips == 'prob' else rows
            torch.testing.assert_close(prediction.pred_score, sum(rows) / self.VIEWS)
            assert int(prediction.pred_label) == int(prediction.pred_score.argmax())

    def test_probabilities_by_default(self):
        prediction = build(HEAD).predict(VIDEO[:1], samples(0))[0]
        assert float(prediction.pred_score.sum().detach()) == pytest.approx(1)

    @pytest.mark.parametrize('average_clips', ['probs', 'mean', True])
    def test_unknown_average(self, average_clips):
        with pytest.raises(ConfigError, match=rf'average_clips={average_clips!r} is not known'):
            build(HEAD, average_clips=average_clips)

    @torch.no_grad()
    def test_two_vocabularies_on_one_model(self):
        head = build(HEAD)
        first = head.predict(FEATURES, samples(0, 1))
        head.set_classes(['juggling', 'ice skating'])
        second = head.predict(FEATURES, samples(0, 1))
        head.set_classes(CLASSES)
        third = head.predict(FEATURES, samples(0, 1))
        for a, b, c in zip(first, second, third, strict=True):
            assert a.pred_score.shape == (K,)
            assert b.pred_score.shape == (2,)
            assert torch.equal(a.pred_score, c.pred_score)


class TestVocabulary:
    def test_of_the_config(self):
        head = build(HEAD)
        assert head.classes == CLASSES
        assert head.num_classes == K
        assert build(HEAD, num_classes=K).num_classes == K

    def test_weights_stay(self):
        head = build(HEAD)
        before = {key: value.clone() for key, value in head.state_dict().items()}
        head.set_classes(['juggling'])
        assert head.num_classes == 1
        assert all(torch.equal(value, before[key]) for key, value in head.state_dict().items())

    @pytest.mark.parametrize(
        ('names', 'match'),
        [
            (['running', 'walking', 'running'], 'running'),
            (['running', ''], 'empty'),
            (['running', '   '], 'empty'),
            ([], 'class'),
            ([' '.join(['sword'] * CONTEXT), 'running'], f'more than context_length={CONTEXT}'),
        ],
    )
    def test_wrong_names_leave_the_former(self, names, match):
        head = build(HEAD)
        before = head(FEATURES)
        with pytest.raises(ValueError, match=re.escape(match)):
            head.set_classes(names)
        assert head.classes == CLASSES
        assert head.num_classes == K
        assert torch.equal(head(FEATURES), before)

    def test_the_template_counts_for_the_length(self):
        template = ' '.join(['sword'] * CONTEXT) + ' {}'
        with pytest.raises(ConfigError, match='shorten the name or the template'):
            build(HEAD, template=template)

    def test_other_number_of_classes(self):
        match = r"num_classes=7, but classes=\('abseiling'.* holds 5 names"
        with pytest.raises(ConfigError, match=match):
            build(HEAD, num_classes=7)

    @pytest.mark.parametrize(('order', 'name'), [('mmaction2', 'kick'), ('xclip', 'kick ball')])
    def test_one_of_two_orders(self, order, name):
        assert build(HEAD, classes='hmdb51', label_order=order).classes[20] == name

    def test_none(self):
        head = build(HEAD, classes=None)
        with pytest.raises(ConfigError, match='has no class names; set cls_head'):
            head(FEATURES)
        head.set_classes(CLASSES)
        assert torch.equal(head(FEATURES), build(HEAD)(FEATURES))

    @pytest.mark.parametrize('template', ['a video', '{} and {}', '{0}'])
    def test_wrong_templates(self, template):
        with pytest.raises(ConfigError, match=re.escape(f"template={template!r} must hold '{{}}'")):
            build(HEAD, template=template)

    def test_template(self):
        head = build(HEAD, template='a video of {}.')
        assert head.texts(['tai chi', 'a {} b']) == ['a video of tai chi.', 'a video of a {} b.']
        with torch.no_grad():
            expected = head.text_encoder.encode([f'a video of {name}.' for name in CLASSES])
        torch.testing.assert_close(head.text_features(), expected)


@pytest.mark.parametrize(
    ('features', 'match'),
    [
        (torch.zeros(N, 7), r'in_channels=24, but the features have 7 .* cls_head.in_channels=7'),
        (
            VideoFeatures(VIDEO, torch.zeros(N, NUM_FRAMES, NUM_PATCHES, 8)),
            r'patch features of 20 channels, but these have 8 .* cls_head.patch_channels=8',
        ),
        (torch.zeros(N, NUM_FRAMES, JOINT_WIDTH), r'shape \(2, 3, 24\) do not fit'),
    ],
)
def test_features_that_do_not_fit(features, match):
    with pytest.raises(ConfigError, match=match):
        build(HEAD)(features)


class TestTemperature:
    def test_initial_value(self):
        from mmaction.registry import MODELS

        head = MODELS.build(HEAD)
        assert float(head.logit_scale) == pytest.approx(math.log(1 / 0.07))
        assert head.logit_scale.shape == ()
        assert not head.logit_scale.requires_grad

    @pytest.mark.parametrize('shape', [(), (1,)])
    def test_from_an_image_text_model(self, shape):
        head = build(HEAD)
        head.load_open_clip({'logit_scale': torch.full(shape, 4.5)})
        assert float(head.logit_scale) == 4.5
        head.load_open_clip({})
        assert float(head.logit_scale) == 4.5


def test_configs_are_left_as_they_were():
    text = dict(TEXT)
    config = {**HEAD, 'text_encoder': text}
    build(config)
    assert text == TEXT
    assert config == HEAD
