from __future__ import annotations

import open_clip
import pytest
import torch
from small_models import (
    IMG_SIZE,
    JOINT_WIDTH,
    NUM_FRAMES,
    NUM_PATCHES,
    NUM_ROWS,
    PATCH_SIZE,
    VISION,
    VISION_WIDTH,
    build,
    clip,
    disturb,
    video,
)

from mmxclip.errors import CheckpointError, ConfigError
from mmxclip.models import CrossFrameViT
from mmxclip.models.common import FrameFeatures

GRID = IMG_SIZE // PATCH_SIZE


@pytest.mark.parametrize('act', ['quick_gelu', 'gelu'])
@pytest.mark.parametrize(('size', 'patch'), [(12, 4), (10, 2)])
@torch.no_grad()
def test_without_messages_it_is_open_clips(act, size, patch):
    """Same weights, same frame embeddings and patch features, frame by frame."""
    theirs = clip(act, image_size=size, patch_size=patch)
    ours = build(VISION, act=act, cross_frame=False, img_size=size, patch_size=patch).eval()
    ours.load_open_clip(theirs.state_dict())
    last_block = []
    theirs.visual.transformer.register_forward_hook(lambda *args: last_block.append(args[-1]))

    x = video(NUM_ROWS, size=size)
    frames, patches = ours(x)
    for t in range(NUM_FRAMES):
        expected = theirs.encode_image(x[:, :, t])
        torch.testing.assert_close(frames[:, t], expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(patches[:, t], last_block[t][:, 1:], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_weights_of_a_model_with_a_tower_apart():
    """open_clip's ``CustomTextCLIP`` names the vision tower alike."""
    sizes = dict(image_size=IMG_SIZE, patch_size=PATCH_SIZE, width=VISION_WIDTH, layers=2)
    theirs = open_clip.CustomTextCLIP(
        JOINT_WIDTH,
        vision_cfg=sizes | dict(head_width=10),
        text_cfg=dict(width=16, heads=2, layers=1),
        quick_gelu=True,
    ).eval()
    ours = build(VISION, cross_frame=False).eval()
    ours.load_open_clip(disturb(theirs).state_dict())
    x = video(NUM_ROWS)
    torch.testing.assert_close(
        ours(x).frames[:, 1], theirs.encode_image(x[:, :, 1]), rtol=1e-5, atol=1e-5
    )


@torch.no_grad()
def test_loading_leaves_the_messages_as_they_are():
    model = build(VISION)
    before = {name: value.clone() for name, value in model.named_parameters()}
    model.load_open_clip(clip().state_dict())
    new = {
        f'blocks.{i}.{name}'
        for i, block in enumerate(model.blocks)
        for name in block.new_parameter_names()
    }
    assert len(new) == 16
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]) == (name in new), name


@pytest.mark.parametrize('num_frames', [1, 2, 5])
def test_any_number_of_frames(num_frames):
    frames, patches = build(VISION)(video(NUM_ROWS, num_frames=num_frames))
    assert frames.shape == (NUM_ROWS, num_frames, JOINT_WIDTH)
    assert patches.shape == (NUM_ROWS, num_frames, NUM_PATCHES, VISION_WIDTH)


@torch.no_grad()
def test_permuted_frames_permute_the_output():
    """Messages reach all frames, and none of them knows its place in time."""
    model = build(VISION).double().eval()
    x = video(NUM_ROWS).double()
    order = [2, 0, 1]
    frames, patches = model(x)
    moved_frames, moved_patches = model(x[:, :, order])
    torch.testing.assert_close(moved_frames, frames[:, order], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(moved_patches, patches[:, order], rtol=1e-10, atol=1e-12)


@torch.no_grad()
def test_messages_carry_between_frames_of_a_row_only():
    model = build(VISION).double().eval()
    x = video(NUM_ROWS).double()
    changed = x.clone()
    changed[1, :, 0] += 1
    difference = (model(changed).frames - model(x).frames).abs().amax(dim=-1)  # (N, T)
    assert difference[0].max() < 1e-12
    assert difference[1].min() > 1e-6


def test_gradients_reach_every_parameter():
    model = build(VISION)
    frames, patches = model(video(NUM_ROWS))
    (frames.pow(2).sum() + patches.pow(2).sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 0, name


class TestOutputs:
    """``out_type`` shapes the same numbers for other heads."""

    @pytest.fixture
    def expected(self) -> FrameFeatures:
        return build(VISION)(video(NUM_ROWS))

    def folded(self) -> torch.Tensor:
        return video(NUM_ROWS).transpose(1, 2).flatten(0, 1)  # (N*T, C, H, W)

    def test_map(self, expected):
        out = build(VISION, out_type='map')(video(NUM_ROWS))
        assert out.shape == (NUM_ROWS, VISION_WIDTH, NUM_FRAMES, GRID, GRID)
        for y in range(GRID):
            for x in range(GRID):
                patch = expected.patches[:, :, y * GRID + x].transpose(1, 2)  # (N, D, T)
                torch.testing.assert_close(out[..., y, x], patch)

    def test_token(self, expected):
        out = build(VISION, out_type='token')(video(NUM_ROWS))
        torch.testing.assert_close(out, expected.frames.mean(dim=1))

    def test_folded_features(self, expected):
        out = build(VISION, num_frames=NUM_FRAMES)(self.folded())
        torch.testing.assert_close(out, expected)

    def test_folded_map(self, expected):
        out = build(VISION, out_type='map', num_frames=NUM_FRAMES)(self.folded())
        grid = expected.patches.reshape(NUM_ROWS * NUM_FRAMES, GRID, GRID, VISION_WIDTH)
        torch.testing.assert_close(out, grid.permute(0, 3, 1, 2))

    def test_folded_token(self, expected):
        out = build(VISION, out_type='token', num_frames=NUM_FRAMES)(self.folded())
        assert out.shape == (NUM_ROWS * NUM_FRAMES, JOINT_WIDTH, 1, 1)
        torch.testing.assert_close(out.flatten(1), expected.frames.flatten(0, 1))


def test_drop_path_rises_linearly():
    model = build(VISION, num_layers=4, drop_path_rate=0.3)
    rates = [block.drop_path.p for block in model.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert {block.drop_path.mode for block in model.blocks} == {'row'}


@pytest.mark.parametrize('drop_path_rate', [0.0, 0.5])
def test_checkpointing_changes_nothing(drop_path_rate):
    """Same output and gradients, also when layers are dropped at random."""
    results = []
    for with_cp in (False, True):
        model = build(VISION, with_cp=with_cp, drop_path_rate=drop_path_rate).double().train()
        torch.manual_seed(7)
        out = model(video(6).double())
        (out.frames.pow(2).sum() + out.patches.pow(2).sum()).backward()
        results.append((out.frames, *(parameter.grad for parameter in model.parameters())))
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-12)


def test_checkpointing_recomputes():
    """In training each layer runs again in the backward pass; without gradients it does not."""
    model = build(VISION, with_cp=True)
    calls = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda *_: calls.append(1))
    out = model(video(1))
    assert len(calls) == 2
    out.frames.sum().backward()
    assert len(calls) == 4
    with torch.no_grad():
        model(video(1))
    assert len(calls) == 6


def test_initial_values():
    """Tables are normal with deviation D^-1/2, norms are neutral, positions not zero."""
    model = CrossFrameViT(32, 2, 64, num_layers=1, output_dims=48)
    for table in (model.positional_embedding.detach(), model.proj.detach()):
        assert float(table.std()) == pytest.approx(1 / 8, rel=0.05)
    assert 0.6 / 8 < float(model.class_embedding.detach().std()) < 1.4 / 8
    assert model.patch_embed.bias is None
    for layer in (model.ln_pre, model.ln_post):
        assert layer.eps == 1e-5
        assert bool((layer.weight == 1).all())
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ('width', 'layers', 'size', 'patch', 'joint', 'expected'),
    [
        (768, 12, 224, 32, 512, 123_303_168),
        (768, 12, 224, 16, 512, 121_646_592),
        (1024, 24, 224, 14, 768, 429_967_360),
        (1024, 24, 336, 14, 768, 430_295_040),
    ],
)
def test_parameters_of_the_published_sizes(width, layers, size, patch, joint, expected):
    """The specification's counts of the authors' towers; nothing is allocated."""
    with torch.device('meta'):
        model = CrossFrameViT(size, patch, width, layers, output_dims=joint)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert {block.attn.num_heads for block in model.blocks} == {width // 64}


class TestPositionTable:
    """Weights of another image size are refused, or their positions resized."""

    def test_refused(self):
        model = build(VISION)
        state = clip(image_size=20).state_dict()
        before = [parameter.clone() for parameter in model.parameters()]
        match = r'has 26 rows, but img_size=12 with patch_size=4 needs 10; .*interpolate=True'
        with pytest.raises(CheckpointError, match=match):
            model.load_open_clip(state)
        assert all(map(torch.equal, model.parameters(), before))

    @pytest.mark.parametrize('size', [8, 20])
    def test_resized_as_open_clip_does(self, size):
        from open_clip.model import resize_pos_embed

        state = clip(image_size=size).state_dict()
        model = build(VISION)
        model.load_open_clip(state, interpolate=True)
        resize_pos_embed(state, clip())
        expected = state['visual.positional_embedding']
        torch.testing.assert_close(model.positional_embedding.data, expected, rtol=0, atol=1e-6)
        assert expected.shape == (NUM_PATCHES + 1, VISION_WIDTH)


class TestMisfits:
    """Weights of another model are refused whole, naming what differs."""

    @pytest.mark.parametrize(
        ('change', 'match'),
        [
            (dict(width=30), r'class_embedding \(30,\) for \(20,\)'),
            (dict(patch_size=6, image_size=18), r'patch_embed.weight \(20, 3, 6, 6\) for'),
            (dict(layers=1), r'12 of 32 tensors are missing: blocks.1'),
            (dict(layers=3), r'tensors that the model lacks: blocks.2'),
        ],
    )
    def test_refused(self, change, match):
        model = build(VISION)
        before = [parameter.clone() for parameter in model.parameters()]
        with pytest.raises(CheckpointError, match=match):
            model.load_open_clip(clip(**change).state_dict())
        assert all(map(torch.equal, model.parameters(), before))

    def test_text_tower_alone(self):
        with pytest.raises(CheckpointError, match='CrossFrameViT: 32 of 32 tensors are missing'):
            build(VISION).load_open_clip({'ln_final.weight': torch.zeros(16)})


@pytest.mark.parametrize(
    ('changes', 'match'),
    [
        (dict(img_size=13), 'img_size=13 must be one number, a multiple of patch_size=4'),
        (dict(img_size=(12, 12)), r'img_size=\(12, 12\) must be one number'),
        (dict(patch_size=0), 'img_size=12 must be one number, a multiple of patch_size=0'),
        (dict(drop_path_rate=1.0), 'drop_path_rate=1.0 must be at least 0 and below 1'),
        (dict(drop_path_rate=-0.1), 'drop_path_rate=-0.1 must be'),
        (dict(out_type='cls'), r"out_type='cls' is not known; expected one of \('features'"),
        (dict(act='relu'), "act='relu' is not known"),
        (dict(num_heads=3), 'num_heads=3 must divide embed_dims=20'),
    ],
)
def test_wrong_arguments(changes, match):
    with pytest.raises(ConfigError, match=match):
        build(VISION, **changes)


@pytest.mark.parametrize(
    ('shape', 'num_frames', 'match'),
    [
        ((2, 3, 3, 16, 12), None, r'frames of 16x12 pixels do not fit img_size=12'),
        ((6, 3, 12, 12), None, r'\(6 rows\) and num_frames is None; set backbone.num_frames'),
        ((6, 3, 12, 12), 4, r'\(6 rows\) and num_frames is 4'),
        ((2, 1, 3, 3, 12, 12), None, r'shape \(2, 1, 3, 3, 12, 12\) .*expected \(N, 3, T, H, W\)'),
        ((2, 5, 3, 12, 12), None, r'shape \(2, 5, 3, 12, 12\) .*expected \(N, 3, T, H, W\)'),
        ((3, 12, 12), None, r'shape \(3, 12, 12\) .*expected \(N, 3, T, H, W\)'),
    ],
)
def test_wrong_inputs(shape, num_frames, match):
    with pytest.raises(ConfigError, match=match):
        build(VISION, num_frames=num_frames)(torch.zeros(shape))


def test_bfloat16():
    model = build(VISION).to(torch.bfloat16)
    out = model(video(NUM_ROWS).to(torch.bfloat16))
    assert {x.dtype for x in out} == {torch.bfloat16}
    expected = build(VISION)(video(NUM_ROWS))
    torch.testing.assert_close(out.frames.float(), expected.frames, rtol=0.05, atol=0.2)
