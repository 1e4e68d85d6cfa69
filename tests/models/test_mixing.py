"""Our parts with stock ones: each pair builds, predicts, and learns through to its first layer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from torch import Tensor, nn

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'mixing.md'
CLASSES = ('juggling balls', 'tai chi', 'ice skating')
BATCH, VIEWS = 2, 2
TOWER = dict(embed_dims=16, num_layers=1, num_heads=2)


def head(in_channels: int, **changes: object) -> dict:
    """Our head for features of ``in_channels``."""
    text = dict(type='CLIPTextEncoder', output_dims=24, **TOWER)
    config = dict(
        type='VideoPromptHead',
        classes=CLASSES,
        in_channels=in_channels,
        text_encoder=text,
        prompt=dict(num_layers=1, num_heads=3),
    )
    return {**config, **changes}


POOLED = dict(prompt=None)


def samples() -> list[ActionDataSample]:
    return [ActionDataSample().set_gt_label(n) for n in range(BATCH)]


def check(model: nn.Module, inputs: Tensor, num_classes: int = len(CLASSES)) -> None:
    """One step of training and one prediction."""
    model.train()
    losses = model(inputs, samples(), mode='loss')
    loss = sum(value for key, value in losses.items() if 'loss' in key)
    assert torch.isfinite(loss)
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
    trained = [p for p in model.backbone.parameters() if p.requires_grad]
    assert trained[0].grad.abs().max() > 0  # the first layer
    without = [
        name for name, p in model.cls_head.named_parameters() if p.requires_grad and p.grad is None
    ]
    assert without == []
    with torch.no_grad():
        predictions = model.eval()(inputs, samples(), mode='predict')
    assert len(predictions) == BATCH
    for prediction in predictions:
        assert prediction.pred_score.shape == (num_classes,)
        assert torch.isfinite(prediction.pred_score).all()
        assert float(prediction.pred_score.sum()) == pytest.approx(1, abs=1e-4)


SLOW = dict(
    depth=50,
    pretrained=None,
    conv1_kernel=(1, 7, 7),
    conv1_stride_t=1,
    pool1_stride_t=1,
    inflate=(0, 0, 1, 1),
    norm_eval=False,
)
SMALL_VIT = dict(img_size=32, patch_size=16, embed_dims=48, num_heads=4)

CLIP_BACKBONES = {
    # name: backbone, its width, frames, pixels, changes of the head
    'ResNet3d': (
        dict(type='ResNet3d', depth=34, pretrained=None, norm_eval=False),
        *(512, 8, 32, {}),
    ),
    'C2D': (dict(type='C2D', depth=50), 2048, 4, 32, {}),
    'CSN': (
        dict(
            type='ResNet3dCSN',
            depth=50,
            pretrained=None,
            with_pool2=False,
            bottleneck_mode='ir',
            norm_eval=False,
        ),
        *(2048, 8, 32, {}),
    ),
    'SlowOnly': (dict(type='ResNet3dSlowOnly', lateral=False, **SLOW), 2048, 4, 32, {}),
    'SlowFast': (
        dict(
            type='ResNet3dSlowFast',
            pretrained=None,
            resample_rate=8,
            speed_ratio=8,
            channel_ratio=8,
            slow_pathway=dict(type='resnet3d', lateral=True, dilations=(1, 1, 1, 1), **SLOW),
            fast_pathway=dict(
                type='resnet3d',
                lateral=False,
                base_channels=8,
                **{**SLOW, 'conv1_kernel': (5, 7, 7), 'inflate': (1, 1, 1, 1)},
            ),
        ),
        *(2304, 16, 32, POOLED),
    ),
    'X3D': (dict(type='X3D', gamma_w=1, gamma_b=2.25, gamma_d=2.2), 432, 4, 32, {}),
    'SwinTransformer3D': (
        dict(
            type='SwinTransformer3D',
            arch=dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2]),
            patch_size=(2, 4, 4),
            window_size=(8, 7, 7),
        ),
        *(128, 8, 64, {}),
    ),
    'UniFormer': (
        dict(type='UniFormer', depth=[1, 1, 1, 1], embed_dim=[16, 32, 48, 64], head_dim=16),
        *(64, 8, 64, {}),
    ),
    'MViT': (
        dict(
            type='MViT',
            arch=dict(embed_dims=16, num_layers=4, num_heads=1, downscale_indices=[1, 3]),
            spatial_size=64,
            temporal_size=8,
        ),
        *(64, 8, 64, {}),
    ),
    'TimeSformer': (
        dict(
            type='TimeSformer',
            pretrained=None,
            num_frames=4,
            num_transformer_layers=2,
            **SMALL_VIT,
        ),
        *(48, 4, 32, POOLED),
    ),
    'UniFormerV2': (
        dict(
            type='UniFormerV2',
            input_resolution=32,
            patch_size=16,
            width=32,
            layers=4,
            heads=2,
            t_size=4,
            temporal_downsample=False,
            return_list=[0, 1, 2, 3],
            n_layers=4,
            n_dim=32,
            n_head=2,
            mlp_dropout=[0.5] * 4,
            clip_pretrained=False,
        ),
        *(32, 4, 32, POOLED),
    ),
    'VideoMAE': (
        dict(type='VisionTransformer', depth=2, num_frames=4, **SMALL_VIT),
        *(48, 4, 32, POOLED),
    ),
    'VideoMAE-map': (
        dict(type='VisionTransformer', depth=2, num_frames=4, return_feat_map=True, **SMALL_VIT),
        *(48, 4, 32, {}),
    ),
}
HEAVY_CLIP_BACKBONES = {
    'R(2+1)D': (
        dict(
            type='ResNet2Plus1d',
            depth=34,
            pretrained=None,
            pretrained2d=False,
            norm_eval=False,
            conv_cfg=dict(type='Conv2plus1d'),
            norm_cfg=dict(type='BN3d'),
            conv1_kernel=(3, 7, 7),
            conv1_stride_t=1,
            pool1_stride_t=1,
            inflate=(1, 1, 1, 1),
            spatial_strides=(1, 2, 2, 2),
            temporal_strides=(1, 2, 2, 2),
        ),
        *(512, 8, 32, {}),
    ),
    'C3D': (
        dict(type='C3D', conv_cfg=dict(type='Conv3d'), act_cfg=dict(type='ReLU')),
        *(4096, 16, 112, POOLED),
    ),
    'ResNet3d-50': (
        dict(type='ResNet3d', depth=50, pretrained=None, norm_eval=False),
        *(2048, 32, 64, {}),
    ),
}


def clip_model(recognizer: str, backbone: dict, width: int, changes: dict) -> nn.Module:
    config = dict(type=recognizer, backbone=backbone, cls_head=head(width, **changes))
    if recognizer == 'Recognizer3D':
        config['data_preprocessor'] = dict(type='ActionDataPreprocessor', format_shape='NCTHW')
    return MODELS.build(config)


@pytest.mark.parametrize('name', CLIP_BACKBONES)
def test_our_head_after_a_backbone_of_clips(name):
    """Within ours, with two views in training and testing."""
    backbone, width, frames, size, changes = CLIP_BACKBONES[name]
    model = clip_model('XCLIP', backbone, width, changes)
    check(model, torch.randn(BATCH, VIEWS, 3, frames, size, size))


@pytest.mark.slow
@pytest.mark.parametrize('name', HEAVY_CLIP_BACKBONES)
def test_our_head_after_a_heavy_backbone_of_clips(name):
    backbone, width, frames, size, changes = HEAVY_CLIP_BACKBONES[name]
    model = clip_model('XCLIP', backbone, width, changes)
    check(model, torch.randn(BATCH, 1, 3, frames, size, size))


@pytest.mark.parametrize('name', ['UniFormer', 'MViT', 'TimeSformer', 'VideoMAE-map'])
def test_our_head_within_the_stock_recognizer(name):
    """Which trains with one view only."""
    backbone, width, frames, size, changes = CLIP_BACKBONES[name]
    model = clip_model('Recognizer3D', backbone, width, changes)
    check(model, torch.randn(BATCH, 1, 3, frames, size, size))


@pytest.mark.parametrize('name', ['SlowOnly', 'UniFormer', 'VideoMAE-map', 'MViT'])
@pytest.mark.parametrize('neck', ['MultiFrameIntegrationTransformer', 'FrameAverage'])
def test_our_neck_after_a_backbone_of_clips(name, neck):
    backbone, width, frames, size, changes = CLIP_BACKBONES[name]
    config = dict(type=neck)
    if neck == 'MultiFrameIntegrationTransformer':
        config |= dict(embed_dims=width, num_frames=frames)
    model = MODELS.build(
        dict(type='XCLIP', backbone=backbone, neck=config, cls_head=head(width, **changes))
    )
    check(model, torch.randn(BATCH, VIEWS, 3, frames, size, size))
    assert all(parameter.grad is not None for parameter in model.neck.parameters())


SEGMENTS = 8
FRAME_BACKBONES = {
    # name: backbone, its width
    'ResNet': (dict(type='ResNet', depth=50, norm_eval=False), 2048),
    'ResNetTSM': (dict(type='ResNetTSM', depth=50, num_segments=SEGMENTS, norm_eval=False), 2048),
    'TANet': (
        dict(type='TANet', depth=50, num_segments=SEGMENTS, norm_eval=False),
        2048,
    ),
    'MobileNetV2': (dict(type='MobileNetV2'), 1280),
    'MobileNetV2TSM': (dict(type='MobileNetV2TSM', num_segments=SEGMENTS), 1280),
    'torchvision': (dict(type='torchvision.resnet18'), 512),
    'timm': (
        dict(
            type='timm.swin_tiny_patch4_window7_224',
            img_size=32,
            embed_dim=12,
            depths=(1, 1, 1, 1),
            num_heads=(1, 1, 2, 2),
            feature_shape='NHWC',
        ),
        96,
    ),
}
FRAME_PREPROCESSOR = dict(type='ActionDataPreprocessor', format_shape='NCHW')


@pytest.mark.parametrize('name', FRAME_BACKBONES)
def test_our_head_after_a_backbone_of_frames(name):
    """Frames folded into the batch are put together again."""
    backbone, width = FRAME_BACKBONES[name]
    model = MODELS.build(
        dict(
            type='Recognizer2D',
            backbone=backbone,
            cls_head=head(width),
            data_preprocessor=FRAME_PREPROCESSOR,
        )
    )
    check(model, torch.randn(BATCH, SEGMENTS, 3, 32, 32))


def pyramid(frames: int) -> dict:
    """MMAction2's temporal pyramid over the last two stages of a ResNet-50."""
    stages = (1024, 2048)
    return dict(
        type='TPN',
        in_channels=stages,
        out_channels=64,
        spatial_modulation_cfg=dict(in_channels=stages, out_channels=stages[1]),
        temporal_modulation_cfg=dict(downsample_scales=(frames, frames)),
        upsample_cfg=dict(scale_factor=(1, 1, 1)),
        downsample_cfg=dict(downsample_scale=(1, 1, 1)),
        level_fusion_cfg=dict(
            in_channels=(64, 64),
            mid_channels=(64, 64),
            out_channels=128,
            downsample_scales=((1, 1, 1), (1, 1, 1)),
        ),
        aux_head_cfg=dict(out_channels=len(CLASSES), loss_weight=0.5),
    )


def test_our_head_after_a_pyramid_of_frames():
    model = MODELS.build(
        dict(
            type='Recognizer2D',
            backbone=dict(
                type='ResNetTSM',
                depth=50,
                num_segments=SEGMENTS,
                out_indices=(2, 3),
                norm_eval=False,
            ),
            neck=pyramid(SEGMENTS),
            cls_head=head(2048),
            data_preprocessor=FRAME_PREPROCESSOR,
        )
    )
    check(model, torch.randn(BATCH, SEGMENTS, 3, 32, 32))


def test_our_head_after_a_pyramid_of_clips():
    """The neck's auxiliary loss counts, within ours as well."""
    model = MODELS.build(
        dict(
            type='XCLIP',
            backbone=dict(type='ResNet3dSlowOnly', lateral=False, out_indices=(2, 3), **SLOW),
            neck=pyramid(4),
            cls_head=head(2048),
        )
    )
    inputs = torch.randn(BATCH, 1, 3, 4, 32, 32)
    check(model, inputs)
    losses = model.train()(inputs, samples(), mode='loss')
    assert {'loss_aux', 'loss_cls'} <= set(losses)


FRAMES = 4
WIDTH, JOINT = 20, 24
VISION = dict(
    type='CrossFrameViT',
    img_size=16,
    patch_size=8,
    embed_dims=WIDTH,
    num_layers=2,
    num_heads=2,
    output_dims=JOINT,
)


@pytest.mark.parametrize(
    ('kind', 'extra'),
    [
        ('TSNHead', {}),
        ('TSMHead', dict(num_segments=FRAMES)),
        ('TRNHead', dict(num_segments=FRAMES)),
    ],
)
@pytest.mark.parametrize(('out_type', 'width'), [('map', WIDTH), ('token', JOINT)])
def test_our_backbone_under_heads_of_frames(kind, extra, out_type, width):
    model = MODELS.build(
        dict(
            type='Recognizer2D',
            backbone=dict(VISION, out_type=out_type, num_frames=FRAMES),
            cls_head=dict(
                type=kind, num_classes=3, in_channels=width, average_clips='prob', **extra
            ),
            data_preprocessor=FRAME_PREPROCESSOR,
        )
    )
    check(model, torch.randn(BATCH, FRAMES, 3, 16, 16))


def test_our_model_within_the_recognizer_of_frames():
    """Backbone and head of ours, frames folded between them."""
    model = MODELS.build(
        dict(
            type='Recognizer2D',
            backbone=dict(VISION, num_frames=FRAMES),
            cls_head=head(JOINT, patch_channels=WIDTH),
            data_preprocessor=FRAME_PREPROCESSOR,
        )
    )
    check(model, torch.randn(BATCH, FRAMES, 3, 16, 16))


@pytest.mark.parametrize('recognizer', ['XCLIP', 'Recognizer3D'])
@pytest.mark.parametrize(
    ('kind', 'out_type', 'width', 'extra'),
    [
        ('I3DHead', 'map', WIDTH, {}),
        ('X3DHead', 'map', WIDTH, dict(fc1_bias=True)),
        ('TimeSformerHead', 'token', JOINT, {}),
        ('UniFormerHead', 'token', JOINT, {}),
    ],
)
def test_our_backbone_under_heads_of_clips(recognizer, kind, out_type, width, extra):
    model = MODELS.build(
        dict(
            type=recognizer,
            backbone=dict(VISION, out_type=out_type),
            cls_head=dict(
                type=kind, num_classes=3, in_channels=width, average_clips='prob', **extra
            ),
            data_preprocessor=dict(type='ActionDataPreprocessor', format_shape='NCTHW'),
        )
    )
    check(model, torch.randn(BATCH, 1, 3, FRAMES, 16, 16))


def snippets() -> dict[str, str]:
    """The configs of the page, by the name in their first line."""
    blocks = re.findall(r'^```python\n(.*?)^```', PAGE.read_text(), re.MULTILINE | re.DOTALL)
    named = (re.match(r'# mixing: name=(\w+)\n', block) for block in blocks)
    return {name[1]: block for name, block in zip(named, blocks, strict=True) if name is not None}


def test_the_page_has_its_configs():
    assert list(snippets()) == [
        'slowonly_prompts',
        'uniformer_mit',
        'cross_frame_i3d',
        'cross_frame_tsn',
    ]


@pytest.mark.parametrize('name', snippets())
def test_configs_of_the_page(name, tmp_path):
    """As a user has them: the page's text in a file, read by MMEngine."""
    from mmengine.config import Config

    (tmp_path / f'{name}.py').write_text(snippets()[name])
    config = Config.fromfile(tmp_path / f'{name}.py')
    model = MODELS.build(config.model)
    shape = config.inputs_shape
    clips = [torch.randint(0, 256, shape, dtype=torch.uint8) for _ in range(BATCH)]
    data = model.data_preprocessor(dict(inputs=clips, data_samples=samples()), training=True)
    assert data['inputs'].shape == (BATCH, *shape)
    check(model, data['inputs'])
