"""Multi-frame integration transformer (MIT), arXiv:2208.02816, section 3.2, equation 6."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxclip.checkpoints.positions import resize_time_positions
from mmxclip.errors import ConfigError
from mmxclip.models.common.features import FrameFeatures, VideoFeatures, to_frame_features
from mmxclip.models.common.transformer import TransformerBlock
from mmxclip.registry import MODELS


@MODELS.register_module()
class MultiFrameIntegrationTransformer(BaseModule):
    """Integrate frame embeddings h into one video embedding v:

        v = mean_t( f(h + e) + h )        f: transformer over time, e: learned positions

    The outer residual, h without e, is in the research code but not in the
    paper's equation 6; the published weights need it.

    Args:
        embed_dims: joint width E.
        num_frames: frames T that the table of positions is learned for. Clips
            of another length use the table interpolated linearly.
        num_layers: blocks (1 in every published CLIP model, 4 in X-Florence).
        num_heads: heads; None for E / 64.
        act: activation of the blocks.
        pos_init_std: standard deviation of the initial positions.
        init_std: standard deviation of the initial linear matrices. The published
            0.02 suits E = 512; of narrow models it leaves little but the residual,
            and they learn the order of frames sooner with about E**-0.5.
        init_cfg: MMEngine's initializer config.

    Shape:
        ``frames (N, T, E), patches (N, T, P, D)`` to ``video (N, E)``, of the
        frames' dtype and not normalized, and the patches unchanged; or a tensor
        ``(N, T, E)`` to ``(N, E)``; or any form of
        :func:`mmxclip.models.common.features.to_frame_features`.
    """

    def __init__(
        self,
        embed_dims: int = 512,
        num_frames: int = 8,
        num_layers: int = 1,
        num_heads: int | None = None,
        act: str = 'quick_gelu',
        pos_init_std: float = 0.02,
        init_std: float = 0.02,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_frames < 1:
            raise ConfigError(f'num_frames={num_frames} must be at least 1')
        self.embed_dims = embed_dims
        self.num_frames = num_frames
        self.positional_embedding = nn.Parameter(torch.empty(1, num_frames, embed_dims))
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dims, num_heads, act) for _ in range(num_layers)
        )
        nn.init.trunc_normal_(self.positional_embedding, std=pos_init_std)
        for block in self.blocks:
            # the packed attention matrix keeps its Xavier values
            linears: tuple[Any, ...] = (block.attn.out_proj, block.mlp.fc1, block.mlp.fc2)
            for linear in linears:
                nn.init.trunc_normal_(linear.weight, std=init_std)
                nn.init.zeros_(linear.bias)
        self.register_load_state_dict_pre_hook(_resize_on_load)

    def new_parameter_names(self) -> list[str]:
        """All of them: no image model has an integration over time."""
        return [name for name, _ in self.named_parameters()]

    def forward(
        self, x: FrameFeatures | Tensor, data_samples: list | None = None
    ) -> tuple[VideoFeatures | Tensor, dict]:
        """Integrate over time; the second output, auxiliary losses, is empty."""
        x = to_frame_features(x)
        if isinstance(x, Tensor):
            return self.integrate(x), {}
        return VideoFeatures(self.integrate(x.frames), x.patches), {}

    def integrate(self, frames: Tensor) -> Tensor:
        """``(N, T, E) -> (N, E)``.

        Raises:
            ConfigError: when the frames are not ``embed_dims`` wide.
        """
        if frames.dim() != 3 or frames.shape[-1] != self.embed_dims:
            raise ConfigError(
                f'frame embeddings of shape {tuple(frames.shape)} do not fit embed_dims='
                f'{self.embed_dims}; expected (N, T, {self.embed_dims}): set neck.embed_dims '
                "to the backbone's output_dims"
            )
        positions: Tensor = self.positional_embedding
        if frames.shape[1] != self.num_frames:
            positions = resize_time_positions(positions, frames.shape[1])
        out = frames + positions
        for block in self.blocks:
            out = block(out)
        return (out.to(frames.dtype) + frames).mean(dim=1)

    def resize_on_load(self, state_dict: MutableMapping[str, Tensor], prefix: str) -> None:
        """Fit a table of another number of frames in ``state_dict``, in place."""
        key = f'{prefix}positional_embedding'
        table = state_dict.get(key)
        if table is None or table.dim() != 3 or table.shape[1] == self.num_frames:
            return
        print_log(
            f'{key}: the checkpoint was trained with {table.shape[1]} frames and the model has '
            f'num_frames={self.num_frames}; temporal positions are interpolated',
            logger='current',
            level=logging.WARNING,
        )
        state_dict[key] = resize_time_positions(table, self.num_frames)


def _resize_on_load(
    module: MultiFrameIntegrationTransformer,
    state_dict: MutableMapping[str, Tensor],
    prefix: str,
    *_: Any,
) -> None:
    module.resize_on_load(state_dict, prefix)
