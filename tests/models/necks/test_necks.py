from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint, load_state_dict
from small_models import JOINT_WIDTH, NECK, NUM_FRAMES, NUM_ROWS, build
from torch import Tensor, nn

from mmxclip.errors import ConfigError
from mmxclip.models import FrameAverage, MultiFrameIntegrationTransformer
from mmxclip.models.common import FrameFeatures, TransformerBlock, VideoFeatures

FRAMES = torch.randn(NUM_ROWS, NUM_FRAMES, JOINT_WIDTH, dtype=torch.float64)
PATCHES = torch.randn(NUM_ROWS, NUM_FRAMES, 4, 5)


def slow_block(block: TransformerBlock, x: Tensor) -> Tensor:
    """A pre-norm layer on tokens ``(T, E)``, through PyTorch's own attention."""
    attention = nn.MultiheadAttention(JOINT_WIDTH, block.attn.num_heads).double()
    attention.in_proj_weight, attention.in_proj_bias = block.attn.qkv.weight, block.attn.qkv.bias
    attention.out_proj = block.attn.out_proj
    x = x + attention(*[block.norm1(x)] * 3, need_weights=False)[0]
    inner = block.mlp.fc1(block.norm2(x))
    return x + block.mlp.fc2(inner * torch.sigmoid(1.702 * inner))


def slow_integration(neck: MultiFrameIntegrationTransformer, h: Tensor) -> Tensor:
    """v = mean_t( f(h + e) + h ), one video ``(T, E)``."""
    out = h + neck.positional_embedding[0]
    for block in neck.blocks:
        out = slow_block(block, out)
    return sum(out[t] + h[t] for t in range(len(h))) / len(h)


@pytest.mark.parametrize('num_layers', [1, 2])
def test_integration_is_the_formula(num_layers):
    neck = build(NECK, num_layers=num_layers).double()
    frames = FRAMES.clone().requires_grad_()
    inputs = [frames, *neck.parameters()]
    (video, patches), losses = neck(FrameFeatures(frames, PATCHES))
    assert patches is PATCHES
    assert losses == {}
    expected = torch.stack([slow_integration(neck, h) for h in frames])
    torch.testing.assert_close(video, expected, rtol=1e-10, atol=1e-12)

    weight = torch.randn_like(video)
    own = torch.autograd.grad((video * weight).sum(), inputs)
    slow = torch.autograd.grad((expected * weight).sum(), inputs)
    torch.testing.assert_close(own, slow, rtol=1e-9, atol=1e-11)
    assert all(gradient.abs().max() > 0 for gradient in own)


def test_order_of_frames_matters():
    """Only here does the model learn what came first."""
    neck = build(NECK).double()
    difference = neck(FRAMES)[0] - neck(FRAMES.flip(1))[0]
    assert difference.abs().min() > 1e-8


def test_tensors_alone():
    neck = build(NECK).double()
    video, losses = neck(FRAMES)
    assert losses == {}
    torch.testing.assert_close(video, neck(FrameFeatures(FRAMES, PATCHES))[0].video)


@pytest.mark.parametrize('features', [(FRAMES, PATCHES), [FRAMES, PATCHES]])
@pytest.mark.parametrize('config', [NECK, dict(type='FrameAverage')])
def test_output_is_what_the_head_reads(config, features):
    video, _ = build(config).double()(features, data_samples=[object()])
    assert isinstance(video, VideoFeatures)
    assert video.video.shape == (NUM_ROWS, JOINT_WIDTH)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_output_has_the_dtype_of_the_frames(dtype):
    """Blocks in float32, their output cast down before the frames are added."""
    neck = build(NECK)
    half = FRAMES.to(dtype)
    out = half.float() + neck.positional_embedding
    for block in neck.blocks:
        out = block(out)
    video = neck(half)[0]
    assert video.dtype == dtype
    assert torch.equal(video, (out.to(dtype) + half).mean(dim=1))


def interpolated(table: Tensor, num_frames: int) -> Tensor:
    """NumPy's linear interpolation between the centres of equal segments."""
    own = (np.arange(table.shape[1]) + 0.5) / table.shape[1]
    wanted = (np.arange(num_frames) + 0.5) / num_frames
    columns = [np.interp(wanted, own, column) for column in table[0].detach().T.numpy()]
    return torch.tensor(np.stack(columns, axis=1))[None]


@pytest.mark.parametrize('num_frames', [1, 2, 5, 12])
def test_clips_of_another_length(num_frames):
    neck = build(NECK).double()
    frames = torch.randn(NUM_ROWS, num_frames, JOINT_WIDTH, dtype=torch.float64)
    longer = build(NECK, num_frames=num_frames).double()
    longer.blocks.load_state_dict(neck.blocks.state_dict())
    longer.positional_embedding.data = interpolated(neck.positional_embedding, num_frames)
    torch.testing.assert_close(neck(frames)[0], longer(frames)[0], rtol=1e-10, atol=1e-12)


def test_gradient_through_interpolated_positions():
    neck = build(NECK)
    neck(torch.randn(NUM_ROWS, 5, JOINT_WIDTH))[0].sum().backward()
    assert neck.positional_embedding.grad.abs().min() > 0


class TestCheckpointsOfAnotherLength:
    """The table is interpolated while loading, and a warning says so."""

    LONG = 5

    def by_torch(self, model, state, path):
        model.load_state_dict(state)

    def by_mmengine(self, model, state, path):
        load_state_dict(model, state, strict=True)

    def by_file(self, model, state, path):
        torch.save(dict(state_dict=state), path)
        load_checkpoint(model, str(path), strict=True)

    @pytest.mark.parametrize('way', ['by_torch', 'by_mmengine', 'by_file'])
    @pytest.mark.parametrize('nested', [False, True], ids=['alone', 'within'])
    def test_loading(self, way, nested, warned, tmp_path):
        source, target = build(NECK, num_frames=self.LONG), build(NECK)
        if nested:
            source, target = (nn.Sequential(nn.Identity(), neck) for neck in (source, target))
        state = source.state_dict()
        before = {key: value.clone() for key, value in state.items()}
        getattr(self, way)(target, state, tmp_path / 'weights.pth')

        prefix = '1.' if nested else ''
        table = before.pop(f'{prefix}positional_embedding')
        loaded = target.state_dict()
        torch.testing.assert_close(
            loaded.pop(f'{prefix}positional_embedding'),
            interpolated(table, NUM_FRAMES).float(),
            rtol=0,
            atol=1e-6,
        )
        assert all(torch.equal(loaded[key], value) for key, value in before.items())
        assert state[f'{prefix}positional_embedding'].shape[1] == self.LONG  # the caller's own
        said = warned()
        assert len(said) == 1
        assert f'{prefix}positional_embedding: the checkpoint was trained with 5 frames' in said[0]
        assert 'num_frames=3' in said[0]

    def test_the_same_length_is_silent(self, warned):
        source, target = build(NECK), build(NECK)
        target.load_state_dict(source.state_dict())
        assert warned() == []

    def test_copies_resize_by_their_own(self):
        """Averaged models are deep copies; their hook must not speak for the original."""
        original = build(NECK)
        copied = copy.deepcopy(original)
        before = original.positional_embedding.clone()
        del original
        copied.load_state_dict(build(NECK, num_frames=self.LONG).state_dict())
        assert copied.positional_embedding.shape == before.shape
        assert not torch.equal(copied.positional_embedding, before)


def test_initial_values():
    """Linear weights are normal (0.02), except the packed attention matrix; biases are zero."""
    neck = MultiFrameIntegrationTransformer(64, num_frames=50, num_layers=2)
    assert float(neck.positional_embedding.std().detach()) == pytest.approx(0.02, rel=0.05)
    for block in neck.blocks:
        for linear in (block.attn.out_proj, block.mlp.fc1, block.mlp.fc2):
            weight = linear.weight.detach()
            assert float(weight.std()) == pytest.approx(0.02, rel=0.05)
            assert float(weight.abs().max()) > 0.06  # normal, not uniform
            assert not linear.bias.any()
        bound = (6 / (4 * 64)) ** 0.5
        packed = block.attn.qkv
        assert 0.98 * bound < float(packed.weight.detach().abs().max()) <= bound
        assert not packed.bias.any()


def test_initial_scale_of_positions():
    neck = MultiFrameIntegrationTransformer(64, num_frames=50, pos_init_std=0.3)
    assert float(neck.positional_embedding.std().detach()) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(('width', 'frames', 'count'), [(512, 8, 3_156_480), (768, 16, 7_100_160)])
def test_parameters_of_the_published_sizes(width, frames, count):
    neck = MultiFrameIntegrationTransformer(width, frames)
    assert sum(parameter.numel() for parameter in neck.parameters()) == count
    assert neck.blocks[0].attn.num_heads == width // 64
    assert sorted(neck.new_parameter_names()) == sorted(dict(neck.named_parameters()))


def test_no_frames():
    with pytest.raises(ConfigError, match='num_frames=0 must be at least 1'):
        build(NECK, num_frames=0)


@pytest.mark.parametrize('shape', [(2, 3, 20), (2, 20, 3, 7, 7)])
def test_frames_of_another_width(shape):
    match = r'shape \(2, 3, 20\) do not fit embed_dims=24; expected \(N, T, 24\)'
    with pytest.raises(ConfigError, match=match):
        build(NECK)(torch.zeros(shape))


@pytest.mark.parametrize('config', [NECK, dict(type='FrameAverage')])
@pytest.mark.parametrize(
    'wrap',
    [lambda x: x, lambda x: (x,), lambda x: [x[:, :2], x], lambda x: ([x, x[:, :, 0, 0, 0]],)],
)
def test_maps_of_stock_backbones(config, wrap):
    """Averaged over space; the places of the map are the patches."""
    feature_map = torch.randn(NUM_ROWS, JOINT_WIDTH, NUM_FRAMES, 2, 4)
    neck = build(config)
    video, patches = neck(wrap(feature_map))[0]
    frames = sum(feature_map[..., y, x] for y in range(2) for x in range(4)) / 8  # (N, E, T)
    torch.testing.assert_close(video, neck(frames.transpose(1, 2))[0])
    for y in range(2):
        for x in range(4):
            assert torch.equal(patches[:, :, 4 * y + x], feature_map[..., y, x].transpose(1, 2))


@pytest.mark.parametrize('config', [NECK, dict(type='FrameAverage')])
@pytest.mark.parametrize(
    ('features', 'match'),
    [
        (torch.zeros(2, JOINT_WIDTH), r'features of shape \(2, 24\) do not fit a neck over frames'),
        (torch.zeros(6, JOINT_WIDTH, 7, 7), r'shape \(6, 24, 7, 7\) .* set neck=None'),
        ((torch.zeros(2, JOINT_WIDTH),), r'shape \(2, 24\)'),
        ((), 'features in a tuple do not fit'),
        ([[torch.zeros(2, JOINT_WIDTH)]], r'shape \(2, 24\)'),
        ({'video': 1}, 'features in a dict do not fit'),
    ],
)
def test_features_without_frames(config, features, match):
    with pytest.raises(ConfigError, match=match):
        build(config)(features)


def test_frame_average():
    neck = FrameAverage()
    assert list(neck.parameters()) == []
    (video, patches), losses = neck(FrameFeatures(FRAMES, PATCHES))
    torch.testing.assert_close(video, sum(FRAMES[:, t] for t in range(NUM_FRAMES)) / NUM_FRAMES)
    assert patches is PATCHES
    assert losses == {}
    torch.testing.assert_close(neck(FRAMES)[0], video)
