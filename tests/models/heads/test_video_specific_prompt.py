from __future__ import annotations

import pytest
import torch
from small_models import JOINT_WIDTH, NUM_FRAMES, NUM_PATCHES, NUM_ROWS, VISION_WIDTH, disturb
from torch import Tensor, nn

from mmxclip.models.heads.video_specific_prompt import VideoSpecificPrompt

NUM_CLASSES, HEADS = 5, 3


def make_prompt(num_layers: int = 2) -> VideoSpecificPrompt:
    return disturb(VideoSpecificPrompt(VISION_WIDTH, JOINT_WIDTH, num_layers, HEADS).double())


def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = (centred**2).mean(dim=-1, keepdim=True)
    return centred / (variance + 1e-5).sqrt() * layer.weight + layer.bias


def research_context(prompt: VideoSpecificPrompt, patches: Tensor) -> Tensor:
    """Each frame normalized and projected, averaged afterwards, one video ``(T, P, D)``."""
    frames = [norm(frame, prompt.patch_norm) @ prompt.patch_proj for frame in patches]
    return sum(frames) / len(frames)


def attend(x: Tensor, context: Tensor, layer: nn.Module) -> Tensor:
    q, k, v = x @ layer.q_proj.weight.T, context @ layer.k_proj.weight.T, None
    v = context @ layer.v_proj.weight.T
    width = JOINT_WIDTH // HEADS
    heads = []
    for h in range(HEADS):
        part = slice(h * width, (h + 1) * width)
        weights = ((q[:, part] @ k[:, part].T) / width**0.5).softmax(dim=1)
        heads.append(weights @ v[:, part])
    return torch.cat(heads, dim=1) @ layer.out_proj.weight.T + layer.out_proj.bias


def slow_prompt(prompt: VideoSpecificPrompt, text: Tensor, patches: Tensor) -> Tensor:
    """Prompts ``(K, E)`` of one video, class by class."""
    context = norm(research_context(prompt, patches), prompt.context_norm)
    prompts = []
    for c in text:
        x = c[None]  # a class sees no other class
        for layer in prompt.layers:
            x = x + attend(norm(x, layer.norm1), context, layer.attn)
            inner = norm(x, layer.norm2) @ layer.mlp.fc1.weight.T + layer.mlp.fc1.bias
            inner = inner / (1 + (-1.702 * inner).exp())
            x = x + inner @ layer.mlp.fc2.weight.T + layer.mlp.fc2.bias
        prompts.append(prompt.alpha * x[0])
    return torch.stack(prompts)


def inputs() -> tuple[Tensor, Tensor]:
    text = torch.randn(NUM_CLASSES, JOINT_WIDTH, dtype=torch.float64, requires_grad=True)
    shape = (NUM_ROWS, NUM_FRAMES, NUM_PATCHES, VISION_WIDTH)
    return text, torch.randn(shape, dtype=torch.float64, requires_grad=True)


def test_context_is_the_research_order():
    """Projecting after the average over time: same values, same gradients."""
    prompt = make_prompt()
    _, patches = inputs()
    wrt = [patches, prompt.patch_norm.weight, prompt.patch_norm.bias, prompt.patch_proj]
    actual = prompt.context(patches)
    expected = torch.stack([research_context(prompt, video) for video in patches])
    assert actual.shape == (NUM_ROWS, NUM_PATCHES, JOINT_WIDTH)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-11)
    weight = torch.randn_like(actual)
    own = torch.autograd.grad((actual * weight).sum(), wrt)
    slow = torch.autograd.grad((expected * weight).sum(), wrt)
    torch.testing.assert_close(own, slow, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize('num_layers', [1, 2])
def test_prompts_are_the_formula(num_layers):
    prompt = make_prompt(num_layers)
    text, patches = inputs()
    wrt = [text, patches, *prompt.parameters()]
    actual = prompt(text, patches)
    expected = torch.stack([slow_prompt(prompt, text, video) for video in patches])
    assert actual.shape == (NUM_ROWS, NUM_CLASSES, JOINT_WIDTH)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-11)
    weight = torch.randn_like(actual)
    own = torch.autograd.grad((actual * weight).sum(), wrt)
    slow = torch.autograd.grad((expected * weight).sum(), wrt)
    torch.testing.assert_close(own, slow, rtol=1e-8, atol=1e-10)
    assert all(gradient.abs().max() > 0 for gradient in own)


def test_initial_values():
    prompt = VideoSpecificPrompt(64, 128, alpha=0.3)
    assert bool((prompt.alpha == 0.3).all())
    assert prompt.alpha.shape == (128,)
    assert float(prompt.patch_proj.std().detach()) == pytest.approx(1, rel=0.05)
    linears = [module for module in prompt.modules() if isinstance(module, nn.Linear)]
    assert len(linears) == 2 * 6
    for linear in linears:
        weight = linear.weight.detach()
        assert float(weight.std()) == pytest.approx(0.02, rel=0.05)
        assert float(weight.abs().max()) > 0.06  # normal, not uniform
        assert linear.bias is None or not linear.bias.any()
    norms = [module for module in prompt.modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) == 2 + 2 * 2
    assert {layer.eps for layer in norms} == {1e-5}
    assert all(bool((layer.weight == 1).all()) and not layer.bias.any() for layer in norms)


def test_alpha_defaults_to_the_papers():
    assert bool((VideoSpecificPrompt(8, 8).alpha == 0.1).all())
    assert len(VideoSpecificPrompt(8, 8).layers) == 2


@pytest.mark.parametrize(
    ('patch_width', 'width', 'count'), [(768, 512, 6_697_984), (1024, 768, 14_961_920)]
)
def test_parameters_of_the_published_sizes(patch_width, width, count):
    prompt = VideoSpecificPrompt(patch_width, width)
    assert sum(parameter.numel() for parameter in prompt.parameters()) == count
    assert {layer.attn.num_heads for layer in prompt.layers} == {width // 64}
    assert sorted(prompt.new_parameter_names()) == sorted(dict(prompt.named_parameters()))
