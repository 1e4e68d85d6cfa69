"""CLIP's text tower: open_clip's modules, tokenizer and configurations."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmxclip.checkpoints.key_tables import OPEN_CLIP_TEXT
from mmxclip.errors import ConfigError
from mmxclip.models.common.attention import resolve_num_heads
from mmxclip.models.common.precision import without_autocast
from mmxclip.models.common.transformer import activation
from mmxclip.registry import MODELS

BATCH_SIZE = 512
"""Texts encoded at once, so that a vocabulary of any size needs little memory."""


@functools.cache
def _tokenizer() -> Any:
    """CLIP's byte-pair tokenizer; it takes most of a second to read, so once."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def open_clip_config(model: str) -> dict:
    """Configuration of a model that open_clip lists.

    Raises:
        ConfigError: for an unknown name; the nearest names are given.
    """
    import open_clip

    config = open_clip.get_model_config(model)
    if config is None:
        nearest = difflib.get_close_matches(model, open_clip.list_models(), n=3)
        raise ConfigError(
            f'model={model!r} is not known to open_clip; nearest names: {", ".join(nearest)}'
        )
    return config


@MODELS.register_module()
class CLIPTextEncoder(BaseModule):
    """Text transformer: causal, read at the end token, projected (Radford et al., 2021).

    Args:
        model: an open_clip model name, e.g. ``'ViT-B-16-quickgelu'``, that sets
            all dimensions; None to give them.
        output_dims: joint width E.
        embed_dims: width of the transformer.
        num_layers: depth.
        num_heads: heads; None for ``embed_dims / 64``.
        context_length: most tokens of a text, start and end included.
        vocab_size: rows of the token table.
        act: ``'quick_gelu'`` for OpenAI's weights, ``'gelu'`` for others; None for
            the one of ``model``, or ``'quick_gelu'`` without.
        frozen: no gradients, and always in evaluation mode.
        init_cfg: e.g. ``dict(type='OpenCLIPPretrained', ...)``.
    """

    def __init__(
        self,
        model: str | None = None,
        output_dims: int = 512,
        embed_dims: int = 512,
        num_layers: int = 12,
        num_heads: int | None = None,
        context_length: int = 77,
        vocab_size: int = 49408,
        act: str | None = None,
        frozen: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        from open_clip.transformer import TextTransformer

        dims = dict(
            output_dim=output_dims,
            width=embed_dims,
            layers=num_layers,
            heads=resolve_num_heads(embed_dims, num_heads),
            context_length=context_length,
            vocab_size=vocab_size,
        )
        if model is not None:
            dims, usual = _dims_of(model)
        else:
            usual = 'quick_gelu'
        self.act: str = act or usual
        self.frozen = frozen
        self.output_dims: int = dims['output_dim']
        self.context_length: int = dims['context_length']
        self.tower = TextTransformer(**dims, act_layer=activation(self.act))
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> CLIPTextEncoder:
        """Switch the mode; a frozen tower stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Token ids ``(K, L)``, zero-padded to the longest text.

        The tower is causal and read at the end token, so padding beyond the
        longest text changes nothing and only costs time.

        Raises:
            ConfigError: when a text is longer than ``context_length``, or has
                tokens beyond ``vocab_size``; CLIP's own tokenizer cuts in
                silence instead.
        """
        tokenizer = _tokenizer()
        rows = []
        for text in texts:
            ids = [tokenizer.sot_token_id, *tokenizer.encode(text), tokenizer.eot_token_id]
            if len(ids) > self.context_length:
                raise ConfigError(
                    f'class text {text[:60]!r} has {len(ids)} tokens, more than '
                    f'context_length={self.context_length}; shorten the name or the template'
                )
            rows.append(ids)
        vocab_size = self.tower.vocab_size
        if tokenizer.eot_token_id >= vocab_size:
            raise ConfigError(
                f'vocab_size={vocab_size} is smaller than the {tokenizer.vocab_size} tokens of '
                "CLIP's tokenizer; set text_encoder.vocab_size"
            )
        tokens = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.long)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        return tokens

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of texts, not normalized, ``(K, E)``, in the weights' dtype."""
        tokens = self.tokenize(texts).to(self.tower.positional_embedding.device)
        # Autocast is off: the features are kept, and other precisions than
        # the weights' would depend on who asked first.
        with without_autocast(tokens.device):
            return torch.cat([self(chunk) for chunk in tokens.split(BATCH_SIZE)])

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed token ids; ``(K, L) -> (K, E)``, L at most ``context_length``."""
        tower = self.tower
        length = tokens.shape[1]
        x = tower.token_embedding(tokens) + tower.positional_embedding[:length]
        # open_clip's own forward applies the mask of the full context
        x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
        x = tower.ln_final(x)
        # the end token has the largest id
        x = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=-1)]
        return x @ tower.text_projection

    def load_open_clip(self, state_dict: Mapping[str, Tensor]) -> None:
        """Copy the text tower of an open_clip state dict.

        Raises:
            CheckpointError: when keys are missing or shapes differ.
        """
        text = {
            key.removeprefix('text.'): value  # CustomTextCLIP keeps the tower apart
            for key, value in state_dict.items()
            if not key.startswith('visual.')
        }
        OPEN_CLIP_TEXT.fill(self.tower, OPEN_CLIP_TEXT.convert(text, ignore_unknown=True))


def _dims_of(model: str) -> tuple[dict, str]:
    """Dimensions and activation of an open_clip model's text tower."""
    config = open_clip_config(model)
    text = config['text_cfg']
    unsupported = sorted(
        key
        for key in ('hf_model_name', 'embed_cls', 'no_causal_mask', 'pool_type', 'proj_type')
        if text.get(key) not in (None, False, 'argmax', 'linear')
    )
    if unsupported:
        raise ConfigError(
            f'the text tower of model={model!r} is not of the CLIP form '
            f'({", ".join(unsupported)} set); expected a causal tower read at its end token'
        )
    dims = dict(
        output_dim=config['embed_dim'],
        width=text.get('width', 512),
        layers=text.get('layers', 12),
        heads=text.get('heads', 8),
        context_length=text.get('context_length', 77),
        vocab_size=text.get('vocab_size', 49408),
    )
    return dims, 'quick_gelu' if config.get('quick_gelu') else 'gelu'
