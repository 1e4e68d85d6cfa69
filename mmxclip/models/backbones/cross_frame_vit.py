"""CLIP's vision transformer with messages between frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmxclip.checkpoints.key_tables import OPEN_CLIP_VISION
from mmxclip.checkpoints.positions import resize_grid_positions
from mmxclip.errors import CheckpointError, ConfigError
from mmxclip.models.backbones.cross_frame_block import CrossFrameBlock
from mmxclip.models.common.features import FrameFeatures
from mmxclip.models.common.transformer import LAYER_NORM_EPS
from mmxclip.registry import MODELS

OUT_TYPES = ('features', 'map', 'token')


@MODELS.register_module()
class CrossFrameViT(BaseModule):
    """Cross-frame communication transformer (arXiv:2208.02816, section 3.2, eqs. 1-5).

    A CLIP vision transformer runs on each frame; in every layer a message token
    per frame carries information between the frames of a video. The layers
    hold no code of time: order is told apart by the neck alone.

    Args:
        img_size: height and width of a frame in pixels, a multiple of
            ``patch_size``.
        patch_size: height and width of a patch in pixels.
        embed_dims: width D.
        num_layers: depth.
        num_heads: heads of every attention; None for D / 64.
        output_dims: joint width E of image and text.
        drop_path_rate: stochastic depth of the last layer; it rises linearly
            from 0 at the first (0 in the published recipe).
        act: ``'quick_gelu'`` for OpenAI's weights, ``'gelu'`` for others.
        cross_frame: False gives the image model, frame by frame.
        out_type: ``'features'`` for :class:`FrameFeatures`; ``'map'`` for patch
            features as a feature map and ``'token'`` for embeddings, shaped as
            MMAction2's own heads expect them.
        num_frames: T, only for frames that a 2D recognizer folded into the
            batch; otherwise T is read from the input.
        with_cp: recompute layers in the backward pass to save memory.
        init_cfg: e.g. ``dict(type='OpenCLIPPretrained', ...)``.

    Shape:
        ``(N, C, T, H, W)`` to ``frames (N, T, E)`` and ``patches (N, T, P, D)``;
        ``'map'``: ``(N, D, T, h, w)``; ``'token'``: ``(N, E)``, mean over T.
        ``(N*T, C, H, W)`` to ``'map'`` ``(N*T, D, h, w)`` or ``'token'``
        ``(N*T, E, 1, 1)``.
    """

    def __init__(
        self,
        img_size: int = 224,
        patch_size: int = 16,
        embed_dims: int = 768,
        num_layers: int = 12,
        num_heads: int | None = None,
        output_dims: int = 512,
        drop_path_rate: float = 0.0,
        act: str = 'quick_gelu',
        cross_frame: bool = True,
        out_type: str = 'features',
        num_frames: int | None = None,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        _check_arguments(img_size, patch_size, drop_path_rate, out_type)
        self.img_size = img_size
        self.patch_size = patch_size
        self.grid_size = img_size // patch_size
        self.embed_dims = embed_dims
        self.output_dims = output_dims
        self.act = act
        self.out_type = out_type
        self.num_frames = num_frames
        self.with_cp = with_cp

        self.patch_embed = nn.Conv2d(3, embed_dims, patch_size, stride=patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(embed_dims))
        self.positional_embedding = nn.Parameter(torch.empty(self.grid_size**2 + 1, embed_dims))
        self.ln_pre = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        rates = torch.linspace(0, drop_path_rate, num_layers, device='cpu').tolist()
        self.blocks = nn.ModuleList(
            CrossFrameBlock(embed_dims, num_heads, rate, act, cross_frame) for rate in rates
        )
        self.ln_post = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        self.proj = nn.Parameter(torch.empty(embed_dims, output_dims))
        for table in (self.class_embedding, self.positional_embedding, self.proj):
            nn.init.normal_(table, std=embed_dims**-0.5)

    def forward(self, x: Tensor) -> FrameFeatures | Tensor:
        """Encode frames; see the class for shapes.

        Raises:
            ConfigError: when the frames do not have ``img_size``, or are folded
                into the batch with ``num_frames`` not set.
        """
        if x.dim() not in (4, 5) or x.shape[1] != 3:
            raise ConfigError(
                f'inputs of shape {tuple(x.shape)} do not fit CrossFrameViT; expected '
                '(N, 3, T, H, W), or (N*T, 3, H, W) from a 2D recognizer'
            )
        folded = x.dim() == 4
        frames = self._unfold(x) if folded else x.transpose(1, 2)  # (N, T, C, H, W)
        tokens = self.encode(frames)
        features = FrameFeatures(self.ln_post(tokens[:, :, 0]) @ self.proj, tokens[:, :, 1:])
        if self.out_type == 'features':
            return features
        return (
            self._as_map(features, folded)
            if self.out_type == 'map'
            else self._as_token(features, folded)
        )

    def encode(self, frames: Tensor) -> Tensor:
        """Run all layers; ``(N, T, C, H, W) -> (N, T, 1 + P, D)``."""
        tokens = self.embed(frames)
        for block in self.blocks:
            if self.with_cp and tokens.requires_grad:
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        return tokens

    def embed(self, frames: Tensor) -> Tensor:
        """Cut into patches and add positions; ``(N, T, C, H, W) -> (N, T, 1 + P, D)``."""
        height, width = frames.shape[-2:]
        if (height, width) != (self.img_size, self.img_size):
            raise ConfigError(
                f'frames of {height}x{width} pixels do not fit img_size={self.img_size}; '
                f'crop to {self.img_size} in the pipeline or set backbone.img_size'
            )
        batch, num_frames = frames.shape[:2]
        patches = self.patch_embed(frames.flatten(0, 1))  # (N*T, D, h, w)
        patches = patches.flatten(2).transpose(1, 2)  # (N*T, P, D), row by row
        cls = self.class_embedding.to(patches.dtype).expand(patches.shape[0], 1, -1)
        tokens = torch.cat([cls, patches], dim=1) + self.positional_embedding.to(patches.dtype)
        return self.ln_pre(tokens).unflatten(0, (batch, num_frames))

    def load_open_clip(self, state_dict: Mapping[str, Tensor], interpolate: bool = False) -> None:
        """Copy the vision tower of an open_clip state dict.

        Args:
            state_dict: keys as open_clip names them (``visual.…``).
            interpolate: resize the position table when ``img_size`` differs.

        Raises:
            CheckpointError: when keys are missing or shapes differ; both shapes
                are named.
        """
        tower = OPEN_CLIP_VISION.convert(state_dict, ignore_unknown=True)
        key = 'positional_embedding'
        own = self.positional_embedding
        if key in tower and tower[key].shape[0] != own.shape[0]:
            if not interpolate:
                raise CheckpointError(
                    f'the position table has {tower[key].shape[0]} rows, but img_size='
                    f'{self.img_size} with patch_size={self.patch_size} needs {own.shape[0]}; '
                    "set backbone.img_size to the weights' size or interpolate=True in init_cfg"
                )
            tower[key] = resize_grid_positions(tower[key], self.grid_size)
        OPEN_CLIP_VISION.fill(self, tower)

    def _unfold(self, x: Tensor) -> Tensor:
        """``(N*T, C, H, W) -> (N, T, C, H, W)``."""
        if not self.num_frames or len(x) % self.num_frames:
            raise ConfigError(
                f'frames came folded into the batch ({len(x)} rows) and num_frames is '
                f'{self.num_frames}; set backbone.num_frames to the frames per video'
            )
        return x.unflatten(0, (-1, self.num_frames))

    def _as_map(self, features: FrameFeatures, folded: bool) -> Tensor:
        grid = features.patches.unflatten(2, (self.grid_size, self.grid_size))  # (N, T, h, w, D)
        return grid.flatten(0, 1).permute(0, 3, 1, 2) if folded else grid.permute(0, 4, 1, 2, 3)

    def _as_token(self, features: FrameFeatures, folded: bool) -> Tensor:
        if folded:
            return features.frames.flatten(0, 1)[:, :, None, None]
        return features.frames.mean(dim=1)


def _check_arguments(img_size: int, patch_size: int, drop_path_rate: float, out_type: str) -> None:
    if isinstance(img_size, Sequence) or patch_size < 1 or img_size % patch_size:
        raise ConfigError(
            f'img_size={img_size} must be one number, a multiple of patch_size={patch_size}'
        )
    if not 0 <= drop_path_rate < 1:
        raise ConfigError(f'drop_path_rate={drop_path_rate} must be at least 0 and below 1')
    if out_type not in OUT_TYPES:
        raise ConfigError(f'out_type={out_type!r} is not known; expected one of {OUT_TYPES}')
