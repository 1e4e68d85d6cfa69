"""X-CLIP of ``transformers`` and ours with the same weights, and how far their outputs differ."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn
from transformers import XCLIPConfig, XCLIPModel

from mmxclip.checkpoints import convert_state_dict, infer_architecture
from mmxclip.checkpoints.hf_config import make_config

TINY = dict(
    width=128, patch_size=8, grid_size=3, joint_width=192, text_width=64,
    context_length=11, vocab_size=97, num_frames=3,
    num_layers=2, neck_layers=2, prompt_layers=2, text_layers=2,
)  # fmt: skip
"""Every size another number; several heads in each part but the text tower."""

_B = dict(
    width=768, joint_width=512, text_width=512, context_length=77, vocab_size=49408,
    num_layers=12, neck_layers=1, prompt_layers=2, text_layers=12,
)  # fmt: skip
_L = _B | dict(width=1024, joint_width=768, text_width=768, num_layers=24)
B32 = _B | dict(patch_size=32, grid_size=7, num_frames=8)
B16 = _B | dict(patch_size=16, grid_size=14, num_frames=4)
L14 = _L | dict(patch_size=14, grid_size=16, num_frames=2)


@dataclass
class Outputs:
    """What is compared: ``(N, K)``, ``(N, E)``, ``(K, E)`` and normalized ``(N, K, E)``."""

    logits: Tensor
    video: Tensor
    text: Tensor
    prompted: Tensor

    def errors_against(self, other: Outputs) -> dict[str, float]:
        """Norm of the difference over the norm of ``other``, by output."""
        return {
            name: float((mine.double() - theirs).norm() / theirs.norm())
            for name, mine in vars(self).items()
            for theirs in [getattr(other, name).double()]
        }


def their_model(sizes: dict[str, int], heads: dict[str, int] | None = None) -> XCLIPModel:
    """transformers' model in evaluation mode, every parameter random, always the same."""
    config = XCLIPConfig(**make_config(sizes, heads))
    with torch.device('meta'):  # its own initial values would only cost time
        model = XCLIPModel(config).eval()
    model.to_empty(device='cpu')
    for tower in (model.vision_model, model.text_model):
        ids = tower.embeddings.position_ids
        ids.copy_(torch.arange(ids.shape[1])[None])
    randomize(model)
    return model


def with_heads(model: XCLIPModel, sizes: dict[str, int], heads: dict[str, int]) -> XCLIPModel:
    """The same parameters under other numbers of heads."""
    with torch.device('meta'):
        other = XCLIPModel(XCLIPConfig(**make_config(sizes, heads))).eval()
    other.load_state_dict(model.state_dict(), assign=True)
    for name in ('vision_model', 'text_model'):
        ids = getattr(model, name).embeddings.position_ids
        getattr(other, name).embeddings.position_ids = ids
    return other


def our_model(state_dict: dict[str, Tensor], heads: dict[str, int] | None = None) -> nn.Module:
    """The XCLIP that a state dict of theirs describes, filled with it."""
    model = MODELS.build(dict(type='XCLIP', **infer_architecture(state_dict, heads)))
    model.load_state_dict(convert_state_dict(state_dict))
    return model.eval()


@torch.no_grad()
def randomize(model: XCLIPModel) -> None:
    """Give every parameter a random value, none of them neutral: no term can be missed.

    Embeddings of trained towers have a direction in common. So have these, or
    cosines would be about zero, and relative errors of logits without meaning.
    """
    generator = torch.Generator().manual_seed(4)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if name == 'logit_scale':
            value = torch.tensor(3.0)
        elif name.endswith('alpha'):
            value = 0.3 + 0.1 * noise
        elif parameter.dim() == 1:
            value = 0.2 * noise + ('norm' in name or '_ln' in name) * name.endswith('weight')
        elif 'embedding' in name and 'patch' not in name:
            value = 0.3 * noise
        else:
            value = noise * parameter[0].numel() ** -0.5
        parameter.copy_(value)
    shared = torch.randn(model.config.projection_dim, generator=generator)
    for bias, projection in (
        (model.vision_model.post_layernorm.bias, model.visual_projection.weight),
        (model.text_model.final_layer_norm.bias, model.text_projection.weight),
    ):
        projection.add_(torch.outer(shared - projection @ bias, bias) / bias.square().sum())


def inputs(sizes: dict[str, int], rows: int = 2, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Video ``(rows, T, 3, H, W)`` and token ids ``(classes, L)``, ends at different places."""
    generator = torch.Generator().manual_seed(5)
    side = sizes['patch_size'] * sizes['grid_size']
    video = torch.randn(rows, sizes['num_frames'], 3, side, side, generator=generator)
    tokens = torch.zeros(classes, sizes['context_length'], dtype=torch.long)
    end = sizes['vocab_size'] - 1
    for row, ids in enumerate(tokens):
        ids[0], ids[row + 3] = end - 1, end
        ids[1 : row + 3] = torch.randint(1, end - 1, (row + 2,), generator=generator)
    return video, tokens


@torch.no_grad()
def their_outputs(model: XCLIPModel, video: Tensor, tokens: Tensor) -> Outputs:
    """Run transformers' model."""
    video = video.to(model.dtype)
    out = model(input_ids=tokens, pixel_values=video)
    return Outputs(
        logits=out.logits_per_video,
        video=model.get_video_features(pixel_values=video).pooler_output,
        text=model.get_text_features(input_ids=tokens).pooler_output,
        prompted=out.text_embeds,
    )


@torch.no_grad()
def our_outputs(model: nn.Module, video: Tensor, tokens: Tensor) -> Outputs:
    """Run our model on the same."""
    head = model.cls_head
    clips = video.transpose(1, 2).unsqueeze(1).to(head.prompt.alpha.dtype)  # (N, 1, C, T, H, W)
    text = head.text_encoder(tokens)
    features = model(clips, stage='neck')
    prompted = text + head.prompt(text, features.patches)
    prompted = prompted.to(torch.promote_types(prompted.dtype, torch.float32))
    head.text_features = lambda: text
    return Outputs(
        logits=model(clips, stage='head'),
        video=features.video,
        text=text,
        prompted=nn.functional.normalize(prompted, dim=-1),
    )
