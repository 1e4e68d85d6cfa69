"""Scores taken apart: by frame, and by what the prompts add."""

import pytest
import torch

from mmxclip.errors import ConfigError
from mmxclip.explain.scores import frame_contributions, frame_parts, prompt_effect
from mmxclip.models import FrameAverage, MultiFrameIntegrationTransformer, VideoPromptHead
from mmxclip.models.common.features import FrameFeatures

TEXT = dict(type='CLIPTextEncoder', context_length=16, output_dims=32)


def head_of(in_channels=32, prompt=True):
    head = VideoPromptHead(
        text_encoder=dict(**TEXT, embed_dims=32, num_layers=1, num_heads=2),
        classes=['a', 'b', 'c'],
        in_channels=in_channels,
        patch_channels=24,
        prompt=dict(num_layers=1, num_heads=2, alpha=0.5) if prompt else None,
    )
    return head.eval()


def neck_of(kind, width=32):
    if kind == 'average':
        return FrameAverage()
    return MultiFrameIntegrationTransformer(width, 4, num_layers=2, num_heads=2).eval()


@pytest.mark.parametrize('prompt', [True, False])
@pytest.mark.parametrize('width', [32, 16])
@pytest.mark.parametrize('kind', ['average', 'transformer'])
def test_contributions_add_up_to_the_logits(kind, width, prompt):
    head, neck = head_of(width, prompt), neck_of(kind, width)
    frames, patches, text = torch.randn(2, 4, width), torch.randn(2, 4, 5, 24), torch.randn(3, 32)
    with torch.no_grad():
        features, _ = neck(FrameFeatures(frames, patches))
        logits = head.compare(features, text)
    parts = frame_parts(neck, frames)
    torch.testing.assert_close(parts.mean(1), features.video)
    contributions = frame_contributions(head, parts, patches, text)
    assert contributions.shape == (2, 4, 3)
    torch.testing.assert_close(contributions.sum(1), logits, atol=1e-5, rtol=1e-5)


def test_equal_frames_contribute_equally():
    frames = torch.randn(1, 1, 32).expand(1, 4, 32)
    contributions = frame_contributions(head_of(), frames, None, torch.randn(3, 32))
    torch.testing.assert_close(contributions, contributions[:, :1].expand(1, 4, 3))


def test_prompt_effect():
    head = head_of()
    features, _ = FrameAverage()(FrameFeatures(torch.randn(2, 4, 32), torch.randn(2, 4, 5, 24)))
    text = torch.randn(3, 32)
    effect = prompt_effect(head, features, text)
    cosine = torch.cosine_similarity(features.video[:, None], text[None], dim=-1)
    torch.testing.assert_close(effect.cosine_before, cosine)
    assert (effect.cosine_after - cosine).abs().max() > 1e-4
    with torch.no_grad():
        torch.testing.assert_close(effect.score_after, head.compare(features, text).softmax(-1))
        head.prompt.alpha.zero_()
    still = prompt_effect(head, features, text)
    torch.testing.assert_close(still.cosine_after, cosine)
    torch.testing.assert_close(still.score_after, still.score_before)


def test_other_neck():
    with pytest.raises(ConfigError, match='neck Identity does not average over frames'):
        frame_parts(torch.nn.Identity(), torch.randn(1, 4, 32))
