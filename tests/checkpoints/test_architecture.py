from __future__ import annotations

import pytest
import small_weights as small
import torch
from mmaction.registry import MODELS

from mmxclip.checkpoints import convert_state_dict, infer_architecture
from mmxclip.checkpoints.architecture import ANCHORS, expected_state, sizes_of
from mmxclip.errors import CheckpointError

HEADS = dict(backbone=3, neck=5, prompt=4, text_encoder=2)
# the published sizes: tensors and parameters as the authors' modules have them
PUBLISHED = {
    'B/32, 8 frames': (dict(patch_size=32, grid_size=7, num_frames=8), 443, 196_585_729),
    'B/16, 8 frames': (dict(patch_size=16, grid_size=14, num_frames=8), 443, 194_929_153),
    'L/14, 8 frames': (
        dict(patch_size=14, grid_size=16, num_frames=8)
        | dict(width=1024, joint_width=768, text_width=768, num_layers=24),
        683,
        575_673_601,
    ),
    'L/14, 336 pixels, 16 frames': (
        dict(patch_size=14, grid_size=24, num_frames=16)
        | dict(width=1024, joint_width=768, text_width=768, num_layers=24),
        683,
        576_007_425,
    ),
}
B = dict(
    width=768, joint_width=512, text_width=512, context_length=77, vocab_size=49408,
    num_layers=12, neck_layers=1, prompt_layers=2, text_layers=12, messages=1, prompts=1,
)  # fmt: skip


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_sizes(name):
    changes, tensors, parameters = PUBLISHED[name]
    state = expected_state(B | changes)
    assert len(state) == tensors
    assert sum(value.numel() for value in state.values()) == parameters
    assert sizes_of(state) == B | changes


@pytest.mark.parametrize('source', ['official', 'hf', 'mmxclip'])
def test_sizes_of_each_format(source):
    architecture = infer_architecture(small.weights(source), HEADS)
    assert architecture == dict(
        backbone=dict(
            type='CrossFrameViT',
            img_size=6,
            patch_size=2,
            embed_dims=12,
            num_layers=2,
            output_dims=20,
            num_heads=3,
        ),
        neck=dict(
            type='MultiFrameIntegrationTransformer',
            embed_dims=20,
            num_frames=5,
            num_layers=3,
            num_heads=5,
        ),
        cls_head=dict(
            type='VideoPromptHead',
            patch_channels=12,
            prompt=dict(num_layers=4, num_heads=4),
            text_encoder=dict(
                type='CLIPTextEncoder',
                output_dims=20,
                embed_dims=8,
                num_layers=11,
                context_length=7,
                vocab_size=11,
                num_heads=2,
            ),
        ),
    )


@pytest.mark.parametrize('source', ['official', 'hf', 'openai', 'open_clip'])
def test_the_model_has_exactly_these_tensors(source):
    """Built by the registry; weights of towers alone give the model without what X-CLIP adds."""
    state = small.weights(source)
    model = MODELS.build(dict(type='XCLIP', **infer_architecture(state, HEADS)))
    converted = convert_state_dict(state)
    assert {name: value.shape for name, value in model.state_dict().items()} == {
        name: value.shape for name, value in converted.items()
    }
    model.load_state_dict(converted, strict=True)


@pytest.mark.parametrize('name', ANCHORS)
def test_tensors_that_tell_the_sizes(name):
    state = small.own()
    wrong = {**state, name: torch.zeros(3)}
    with pytest.raises(CheckpointError, match=rf'unexpected shapes: {name} \(3,\)'):
        sizes_of(wrong)
    del state[name]
    with pytest.raises(CheckpointError, match=rf'that tell the sizes are missing: {name}'):
        sizes_of(state)
