"""Video-specific prompts (arXiv:2208.02816, section 3.3, equations 9 and 10)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmxclip.models.common.attention import CrossAttention
from mmxclip.models.common.transformer import LAYER_NORM_EPS, MLP


class PromptLayer(nn.Module):
    """``x = x + CA(LN(x), context); x = x + MLP(LN(x))``.

    Classes attend to patches, never to each other.

    Shape:
        queries ``(N, K, E)``, normalized context ``(N, P, E)`` -> ``(N, K, E)``.
    """

    def __init__(self, embed_dims: int, num_heads: int | None, act: str) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        self.attn = CrossAttention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        self.mlp = MLP(embed_dims, act)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Apply the layer."""
        x = x + self.attn(self.norm1(x), context)
        return x + self.mlp(self.norm2(x))


class VideoSpecificPrompt(nn.Module):
    """Turn patch features into an additive prompt for every class text.

        z = mean_t( LN(patches_t) ) W          context, (N, P, E)
        x = c; two times: attention to LN(z), then an MLP
        prompt = alpha * x

    The research code projects each frame and averages afterwards; a linear map
    without bias commutes with the mean, so projecting once is the same and
    costs 1/T. The norm does not commute and stays per frame.

    Args:
        patch_dims: width D of the patch features.
        embed_dims: joint width E.
        num_layers: prompt layers (2 in the paper).
        num_heads: heads; None for E / 64.
        alpha: initial value of the E learned scales (0.1 in the paper).
        act: activation of the layers.
    """

    def __init__(
        self,
        patch_dims: int,
        embed_dims: int,
        num_layers: int = 2,
        num_heads: int | None = None,
        alpha: float = 0.1,
        act: str = 'quick_gelu',
    ) -> None:
        super().__init__()
        self.patch_dims = patch_dims
        self.patch_norm = nn.LayerNorm(patch_dims, eps=LAYER_NORM_EPS)
        self.patch_proj = nn.Parameter(torch.empty(patch_dims, embed_dims))
        self.context_norm = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        self.layers = nn.ModuleList(
            PromptLayer(embed_dims, num_heads, act) for _ in range(num_layers)
        )
        self.alpha = nn.Parameter(torch.full((embed_dims,), alpha))
        # Unscaled, as in the research code: the norm of the context tames it.
        nn.init.normal_(self.patch_proj)
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def new_parameter_names(self) -> list[str]:
        """All of them: no image model generates prompts from patches."""
        return [name for name, _ in self.named_parameters()]

    def context(self, patches: Tensor) -> Tensor:
        """Average over time and project; ``(N, T, P, D) -> (N, P, E)``."""
        return self.patch_norm(patches).mean(dim=1) @ self.patch_proj

    def forward(self, text: Tensor, patches: Tensor) -> Tensor:
        """Generate prompts.

        Args:
            text: class embeddings, not normalized, ``(K, E)``.
            patches: patch features that have not seen the last norm of the
                backbone, ``(N, T, P, D)``.

        Returns:
            prompts ``(N, K, E)``, to be added to the class embeddings.
        """
        context = self.context_norm(self.context(patches))
        prompts = text.expand(patches.shape[0], -1, -1)  # (N, K, E)
        for layer in self.layers:
            prompts = layer(prompts, context)
        return self.alpha * prompts
