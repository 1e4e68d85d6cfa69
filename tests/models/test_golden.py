"""The model against numbers measured on the authors' modules, stage by stage, in float64."""

from __future__ import annotations

import pytest
import torch
from golden import golden_config, golden_state_dict, golden_tokens, golden_video
from mmaction.registry import MODELS
from torch import Tensor

from mmxclip.checkpoints.key_tables import OFFICIAL

LOGITS = [[-1.82615579, 2.03356348, 0.81211769], [-1.01106351, 1.30400397, 0.60738372]]


def build(**overrides: dict) -> torch.nn.Module:
    """The golden model in float64, filled by the authors' key names."""
    model = MODELS.build(golden_config(**overrides)).double().eval()
    to_official = OFFICIAL.inverse()
    own = model.state_dict()
    shapes = {to_official.rename(key): value.shape for key, value in own.items()}
    model.load_state_dict(OFFICIAL.convert(golden_state_dict(shapes)))
    tokens = golden_tokens()
    with torch.no_grad():
        text = model.cls_head.text_encoder(tokens)
    model.cls_head.text_features = lambda: text
    return model


@pytest.fixture(scope='module')
def model() -> torch.nn.Module:
    return build()


@pytest.fixture(scope='module')
def stages(model: torch.nn.Module) -> dict[str, Tensor]:
    """Every intermediate result that the specification lists."""
    head = model.cls_head
    with torch.no_grad():
        frames, patches = model(golden_video(), stage='backbone')
        video = model(golden_video(), stage='neck').video
        text = head.text_features()
        return dict(
            frames=frames.flatten(0, 1),
            patches=patches.flatten(0, 1),
            video=video,
            context=head.prompt.context(patches),
            text=text,
            prompt=head.prompt(text, patches),
            logits=model(golden_video(), stage='head'),
        )


def check(actual: Tensor, expected: list[float], tolerance: float = 5.1e-7) -> None:
    torch.testing.assert_close(
        actual, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=tolerance
    )


def test_size(model):
    state = model.state_dict()
    assert len(state) == 123
    assert sum(value.numel() for value in state.values()) == 1_713_153


@pytest.mark.parametrize(
    ('stage', 'index', 'expected'),
    [
        ('frames', (0,), [2.027948, 1.806991, -1.541725, 0.791769]),
        ('frames', (7,), [0.601962, 2.133857, -1.352596, -0.981303]),
        ('patches', (0, 0), [-0.842012, -6.391004, 3.815016, -0.585769]),
        ('video', (0,), [-0.543092, -0.138386, 0.998081, 0.781136]),
        ('context', (0, 0), [-0.463568, 0.177390, 1.380962, 0.093005]),
        ('text', (0,), [-1.616429, 0.260118, -0.369050, -0.121470]),
        ('text', (1,), [0.387776, 0.260797, -0.633328, 0.026878]),
        ('prompt', (0, 0), [0.005069, -0.214169, -0.145957, -0.555141]),
    ],
)
def test_values(stages, stage, index, expected):
    check(stages[stage][index][:4], expected)


@pytest.mark.parametrize(
    ('stage', 'shape', 'total'),
    [
        ('frames', (8, 128), 21.988187567679),
        ('patches', (8, 4, 128), -484.450142598),
        ('video', (2, 128), -26.720535158677),
        ('context', (2, 4, 128), -13.534571920809),
        ('text', (3, 128), -3.813563177743),
        ('prompt', (2, 3, 128), -7.731688994472),
    ],
)
def test_sums(stages, stage, shape, total):
    assert stages[stage].shape == shape
    assert float(stages[stage].sum()) == pytest.approx(total, abs=1e-8)


def test_logits(stages):
    for row, expected in zip(stages['logits'], LOGITS, strict=True):
        check(row, expected, tolerance=5.1e-9)


def test_swapped_frames_give_the_listed_other_logits(model):
    video = golden_video()[:, :, :, [1, 0, 2, 3]]
    with torch.no_grad():
        check(model(video, stage='head')[0], [-1.7685, 1.9221, 0.7499], tolerance=5.1e-5)


def test_without_messages_the_listed_other_logits(model):
    """Silencing the messages as the specification's mistake does gives its numbers."""
    silent = build(backbone=dict(cross_frame=True))
    for block in silent.backbone.blocks:
        block.cross_frame = False
    with torch.no_grad():
        check(silent(golden_video(), stage='head')[0], [-1.6396, 1.7738, 0.4740], tolerance=5.1e-5)


def test_other_activation_gives_the_listed_other_logits():
    gelu = build(
        backbone=dict(act='gelu'),
        neck=dict(act='gelu'),
        cls_head=dict(
            prompt=dict(act='gelu'),
            text_encoder=dict(
                type='CLIPTextEncoder',
                output_dims=128,
                embed_dims=128,
                num_layers=2,
                context_length=16,
                vocab_size=64,
                act='gelu',
            ),
        ),
    )
    with torch.no_grad():
        check(gelu(golden_video(), stage='head')[0], [-1.7962, 2.0719, 0.8277], tolerance=5.1e-5)
