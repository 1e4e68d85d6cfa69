"""Every config of a published model: built whole, then run small on data laid out as it expects.

Whole: model, optimizer and parameter counts, on the meta device, without memory.
Small: the towers shrink, everything else is the config's: its datasets, pipelines,
loaders, recipe, loops and metric, for one training step and one test over all views.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from miniature_data import lay_out
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper

from mmxclip.apis import launch

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
NAMES = sorted(path.stem for path in CONFIGS.glob('xclip_[bl]*.py'))
ONE_OF_A_KIND = {  # the others are run by the slow tests
    'xclip_b16_k400',
    'xclip_l14_336_f16_k400',
    'xclip_b16_hmdb51',
    'xclip_b16_f32_hmdb51_2shot',
    'xclip_b16_f32_k600_zeroshot',
    'xclip_b16_f32_ssv2_base2novel',
}
RUN = [
    name if name in ONE_OF_A_KIND else pytest.param(name, marks=pytest.mark.slow) for name in NAMES
]
TRAINED = [name for name in NAMES if 'zeroshot' not in name]
PARAMETERS = {  # of the research code, by model and frames
    ('b32', 8): 196_585_729,
    ('b16', 8): 194_929_153,
    ('l14', 8): 575_673_601,
    ('l14_336', 16): 576_007_425,
}
JOINT_WIDTH = {'b32': 512, 'b16': 512, 'l14': 768, 'l14_336': 768}
TENSORS = {'b32': 443, 'b16': 443, 'l14': 683, 'l14_336': 683}
PUBLISHED_TRAINING = {  # videos per GPU, accumulation, epochs: the research code's settings
    'xclip_b32_k400': (8, 4, 30),
    'xclip_b32_f16_k400': (8, 4, 30),
    'xclip_b16_k400': (8, 4, 30),
    'xclip_b16_f16_k400': (4, 8, 30),
    'xclip_b16_f32_k400': (4, 8, 10),
    'xclip_l14_k400': (4, 8, 30),
    'xclip_l14_336_f16_k400': (1, 32, 30),
    'xclip_b16_k600': (8, 4, 30),
    'xclip_b16_f16_k600': (4, 8, 30),
    'xclip_l14_k600': (4, 8, 30),
    **{
        f'xclip_b16_f32_{data}_{shots}shot': (4, 2, 50)
        for data in ('hmdb51', 'ucf101')
        for shots in (2, 4, 8, 16)
    },
}


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'{name}.py')


def model_of(name: str) -> str:
    return re.match(r'xclip_(l14_336|[bl]\d\d)', name).group(1)


def frames_of(name: str) -> int:
    found = re.search(r'_f(\d+)_', name)
    return int(found.group(1)) if found else 8


@pytest.fixture
def laid_out(tmp_path, monkeypatch):
    """A function that loads a config in a folder with its data."""
    monkeypatch.chdir(tmp_path)

    def prepare(name: str, num_videos: int = 3) -> Config:
        cfg = load(name)
        lay_out(cfg, tmp_path, num_videos)
        return cfg

    return prepare


def test_all_of_them_are_here():
    few = {f'xclip_b16_f32_{d}_{k}shot' for d in ('hmdb51', 'ucf101') for k in (2, 4, 8, 16)}
    zero = {f'xclip_b16_f32_{d}_zeroshot' for d in ('hmdb51', 'ucf101', 'k600')}
    novel = {f'xclip_b16_f32_{d}_base2novel' for d in ('k400', 'hmdb51', 'ucf101', 'ssv2')}
    full = {name for name in PUBLISHED_TRAINING if name.endswith(('k400', 'k600'))}
    assert set(NAMES) == few | zero | novel | full | {'xclip_b16_hmdb51', 'xclip_b16_ucf101'}


@pytest.mark.parametrize('name', NAMES)
def test_whole_model_and_optimizer(name, laid_out):
    cfg = laid_out(name)
    cfg.model.data_preprocessor.pop('blending', None)  # torch's Beta needs numbers
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    kind, frames = model_of(name), frames_of(name)
    usual = 16 if kind == 'l14_336' else 8
    positions = (frames - usual) * JOINT_WIDTH[kind]  # all that the number of frames changes
    parameters = list(model.parameters())
    assert sum(p.numel() for p in parameters) == PARAMETERS[kind, usual] + positions
    assert len(parameters) == TENSORS[kind]
    assert model.neck.num_frames == frames
    assert model.cls_head.label_smooth_eps == 0.1
    if name in TRAINED:
        wrapper = build_optim_wrapper(model, dict(cfg.optim_wrapper, type='CPUAmpOptimWrapper'))
        groups = {group['name']: group for group in wrapper.optimizer.param_groups}
        rate = cfg.optim_wrapper.optimizer.lr
        assert {name: (group['lr'], group['weight_decay']) for name, group in groups.items()} == {
            'base': (rate, 1e-3),
            'base_no_decay': (rate, 0.0),
            'new': (pytest.approx(10 * rate), 1e-3),
            'new_no_decay': (pytest.approx(10 * rate), 0.0),
        }
        # frozen: the text tower and the temperature, 150 tensors of either size
        assert sum(len(group['params']) for group in groups.values()) == TENSORS[kind] - 150


@pytest.mark.parametrize('name', TRAINED)
def test_batches_are_the_published_ones(name):
    cfg = load(name)
    batch, accumulation = cfg.train_dataloader.batch_size, cfg.optim_wrapper.accumulative_counts
    if name in PUBLISHED_TRAINING:
        published = PUBLISHED_TRAINING[name]
        assert (batch, accumulation, cfg.train_cfg.max_epochs) == published
    assert 8 * batch * accumulation == cfg.auto_scale_lr.base_batch_size


@pytest.mark.parametrize('name', RUN)
def test_views_and_sizes(name, laid_out):
    """Shapes of what each loader gives, from videos that are wide, tall and square."""
    cfg = laid_out(name)
    side = cfg.model.backbone.img_size
    frames = frames_of(name)
    single_view = name.startswith('xclip_b16_f32_')
    views = dict(train=1, val=1, test=1 if single_view else 12)
    for split, count in views.items():
        if cfg.get(f'{split}_dataloader') is None:
            continue
        config = cfg[f'{split}_dataloader'].dataset
        config.pipeline[0].isolate = False
        dataset = DATASETS.build(config)
        assert len(dataset) == 3
        for index in range(3 if split == 'train' else 2):
            sample = dataset[index]
            inputs = sample['inputs']
            assert 'unreadable' not in sample['data_samples'].metainfo
            assert inputs.shape == (count, 3, frames, side, side)
            assert inputs.dtype == torch.uint8


def shrink(cfg: Config) -> Config:
    """The same experiment with towers of a few thousand parameters, on two videos at a time."""
    side = cfg.model.backbone.img_size
    cfg.model.backbone.update(
        patch_size=side // 2, embed_dims=32, num_layers=1, num_heads=2, output_dims=16
    )
    cfg.model.neck.update(embed_dims=16, num_heads=2)
    cfg.model.cls_head.update(in_channels=16, patch_channels=32)
    cfg.model.cls_head.prompt.update(num_heads=2)
    cfg.model.cls_head.text_encoder = dict(
        type='CLIPTextEncoder', output_dims=16, embed_dims=16, num_layers=1, num_heads=2
    )
    cfg.model.init_cfg = None
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is not None:
            loader.update(num_workers=0, persistent_workers=False, batch_size=2)
            loader.dataset.pipeline[0].isolate = False
    cfg.work_dir, cfg.launcher = 'run', 'none'
    if cfg.get('train_cfg'):
        cfg.train_cfg.max_epochs = 1
    return cfg


@pytest.mark.parametrize('name', RUN)
def test_one_step_and_one_test(name, laid_out):
    cfg = shrink(laid_out(name, num_videos=2))
    runner = launch.build_runner(cfg)
    if name in TRAINED:
        before = {key: value.clone() for key, value in runner.model.state_dict().items()}
        # the first step of the recipe has a rate of 0, so its moments tell that it was made
        runner.train()
        optimizer = runner.optim_wrapper.optimizer
        moved = {id(p) for p, s in optimizer.state.items() if s['exp_avg'].abs().max() > 0}
        assert id(runner.model.backbone.blocks[0].message_fc.weight) in moved
        assert id(runner.model.backbone.patch_embed.weight) in moved
        assert id(runner.model.cls_head.prompt.alpha) in moved
        assert len(optimizer.state) == sum(p.requires_grad for p in runner.model.parameters())
        after = runner.model.state_dict()
        assert all(torch.equal(before[k], after[k]) for k in before if 'text_encoder' in k)
    metrics = runner.test()
    assert 0 <= metrics['acc/top1'] <= metrics['acc/top5'] <= 1


def test_views_are_the_same_in_every_run(laid_out):
    """The research code draws the clips anew for each test, which moves its accuracy."""
    cfg = laid_out('xclip_b16_k400')
    config = cfg.test_dataloader.dataset
    config.pipeline[0].isolate = False
    first, second = (DATASETS.build(config)[2]['inputs'] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])  # clips differ


def test_steps_of_training_in_the_published_order():
    steps = [step['type'] for step in load('xclip_b16_k400').train_dataloader.dataset.pipeline]
    assert steps == [
        'RobustDecordInit',
        'SegmentSampleFrames',
        'RobustDecordDecode',
        'Resize',
        'MultiScaleCrop',
        'Resize',
        'Flip',
        'RandomColorJitter',
        'TorchVisionWrapper',
        'FormatShape',
        'PackActionInputs',
    ]
    preprocessor = load('xclip_b16_k400').model.data_preprocessor
    assert preprocessor.mean == [123.675, 116.28, 103.53]
    assert preprocessor.std == [58.395, 57.12, 57.375]


@pytest.mark.parametrize('side', [224, 336])
def test_sizes_of_crops(side):
    """One of ten pairs of sides, snapped to the model's when within two pixels, at five places."""
    name = 'xclip_b16_k400' if side == 224 else 'xclip_l14_336_f16_k400'
    steps = load(name).train_dataloader.dataset.pipeline[3:5]
    frame = torch.zeros(120, 200, 3, dtype=torch.uint8).numpy()
    seen = set()
    for _ in range(400):
        out = Compose(steps)(dict(imgs=[frame], img_shape=frame.shape[:2]))
        left, top, right, bottom = out['crop_bbox'].tolist()
        seen.add((right - left, bottom - top))
    short = int(256 / 224 * side)
    sides = [int(short * scale) for scale in (1, 0.875, 0.75, 0.66)]
    assert sides[1] == side
    assert seen == {
        (w, h) for i, w in enumerate(sides) for j, h in enumerate(sides) if abs(i - j) <= 1
    }


def test_mixing_and_smoothing():
    """Every batch is mixed, by CutMix or MixUp; smoothing after mixing equals smoothing within."""
    from mmaction.structures import ActionDataSample

    blending = MODELS.build(load('xclip_b16_k400').model.data_preprocessor.blending)
    cutmix, mixup = blending.augments
    assert (type(cutmix).__name__, float(cutmix.beta.concentration1)) == ('CutmixBlending', 1.0)
    assert (type(mixup).__name__, pytest.approx(0.8)) == (
        'MixupBlending',
        float(mixup.beta.concentration1),
    )
    cut = 0
    for _ in range(200):
        videos = torch.arange(4.0).view(4, 1, 1, 1, 1, 1).expand(4, 1, 3, 2, 8, 8).clone()
        samples = [ActionDataSample().set_gt_label(index) for index in range(4)]
        mixed, samples = blending(videos, samples)
        labels = torch.stack([sample.gt_label for sample in samples])
        assert labels.sum(1) == pytest.approx([1.0] * 4)
        # a pixel's share of each video is, on average, the label's
        expected = (labels[:, :4] * torch.arange(4.0)).sum(1)
        assert mixed.mean((1, 2, 3, 4, 5)) == pytest.approx(expected.tolist(), abs=1e-4)
        cut += bool((mixed == mixed.round()).all())
    assert 70 < cut < 140


def test_loss_is_the_published_one():
    """Soft cross entropy against 1 - e + e / K on the class and e / K beside it, e = 0.1."""
    from mmaction.structures import ActionDataSample

    cfg = load('xclip_b16_k400')
    with torch.device('meta'):
        head = MODELS.build(cfg.model.cls_head)
    logits = torch.randn(3, 400)
    mixed = torch.zeros(3, 400)
    mixed[range(3), [1, 2, 3]] = 0.7
    mixed[range(3), [5, 2, 9]] += 0.3
    samples = [ActionDataSample().set_gt_label(row) for row in mixed]
    target = sum(
        share * ((0.1 / 400) + 0.9 * torch.nn.functional.one_hot(torch.tensor(index), 400))
        for share, index in ((0.7, [1, 2, 3]), (0.3, [5, 2, 9]))
    )
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    loss = head.loss_by_feat(logits, samples)['loss_cls']
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_one_video_a_gpu_is_smoothed_only():
    """What the authors' recipe comes to for L/14 at 336 pixels: nothing to mix it with."""
    from mmaction.structures import ActionDataSample

    cfg = load('xclip_l14_336_f16_k400')
    assert cfg.train_dataloader.batch_size == 1
    blending = MODELS.build(cfg.model.data_preprocessor.blending)
    with torch.device('meta'):
        head = MODELS.build(cfg.model.cls_head)
    logits = torch.randn(1, 400)
    for _ in range(8):
        video = torch.randn(1, 1, 3, 2, 8, 8)
        mixed, samples = blending(video.clone(), [ActionDataSample().set_gt_label(7)])
        torch.testing.assert_close(mixed, video)
        loss = head.loss_by_feat(logits, samples)['loss_cls']
        target = 0.9 * torch.nn.functional.one_hot(torch.tensor([7]), 400) + 0.1 / 400
        expected = -(target * logits.log_softmax(1)).sum()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
