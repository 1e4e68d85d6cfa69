"""Train the tiny image-text model from which the models of the motion task start."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mmxclip.datasets.motion.scenes import SEEN_CLASSES, UNSEEN_CLASSES
from mmxclip.datasets.motion.stills import CAPTIONS, draw_still
from mmxclip.errors import ConfigError, DataError

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""Of the pixels, 0 to 255; the configs of the motion task have the same."""

MAX_LOGIT_SCALE = math.log(100)
POSITION_AMPLITUDE = 0.5
POSITION_PERIODS = 8.0
"""Ratio of the longest to the shortest wave of the position table."""

VALIDATION_STREAM = 1


@dataclass(frozen=True)
class TinyCLIP:
    """Dimensions of the model and how it is trained.

    Args:
        img_size: height and width in pixels.
        patch_size: of a patch, in pixels.
        embed_dims: width of the vision tower.
        num_layers: its depth.
        text_dims: width of the text tower.
        text_layers: its depth.
        head_dims: width of an attention head, in both towers.
        output_dims: joint width E.
        context_length: most tokens of a text, start and end included.
        steps: optimizer steps.
        batch_size: captioned stills per step.
        lr: highest learning rate, reached after a tenth of the steps.
        weight_decay: of matrices; tables, norms and biases have none.
        num_stills: drawn in advance and repeated.
        seed: of stills, weights and batches.
    """

    img_size: int = 64
    patch_size: int = 16
    embed_dims: int = 96
    num_layers: int = 4
    text_dims: int = 64
    text_layers: int = 2
    head_dims: int = 32
    output_dims: int = 64
    context_length: int = 16
    steps: int = 3000
    batch_size: int = 128
    lr: float = 1.5e-3
    weight_decay: float = 0.05
    num_stills: int = 40000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2 or self.num_stills < self.batch_size:
            raise ConfigError(
                f'steps={self.steps}, batch_size={self.batch_size} and num_stills='
                f'{self.num_stills} must be at least 1, 2 and batch_size'
            )


class Vocabulary:
    """The tokens that captions and class names use, numbered from 0 in their order.

    The end token stays the largest, by which the text tower finds it. Words of
    class names that no caption has keep their initial embedding, which tells
    them apart.

    Attributes:
        ids: numbers of the tokens in CLIP's vocabulary, ascending, ``(R,)``.
    """

    def __init__(self, context_length: int) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self._tokenizer = SimpleTokenizer(context_length=context_length)
        self.ids = self._tokenizer([*CAPTIONS, *SEEN_CLASSES, *UNSEEN_CLASSES]).unique()

    def tokenize(self, texts: tuple[str, ...]) -> Tensor:
        """Rows of the small table, ``(K, context_length)``."""
        return torch.searchsorted(self.ids, self._tokenizer(list(texts)))


def build(recipe: TinyCLIP, vocab_size: int) -> nn.Module:
    """An untrained open_clip ``CLIP``, with sine-cosine positions of patches.

    From random positions the model takes far longer to learn where things are.
    """
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    model = CLIP(
        embed_dim=recipe.output_dims,
        vision_cfg=CLIPVisionCfg(
            layers=recipe.num_layers,
            width=recipe.embed_dims,
            head_width=recipe.head_dims,
            patch_size=recipe.patch_size,
            image_size=recipe.img_size,
        ),
        text_cfg=CLIPTextCfg(
            context_length=recipe.context_length,
            vocab_size=vocab_size,
            width=recipe.text_dims,
            heads=recipe.text_dims // recipe.head_dims,
            layers=recipe.text_layers,
        ),
        quick_gelu=True,
    )
    with torch.no_grad():
        positions = model.visual.positional_embedding
        grid = recipe.img_size // recipe.patch_size
        positions[0] = 0  # the class token has no place
        positions[1:] = POSITION_AMPLITUDE * sine_positions(grid, recipe.embed_dims)
    return model


def sine_positions(grid_size: int, embed_dims: int) -> Tensor:
    """Sines and cosines of rows and columns, ``(grid_size**2, embed_dims)``, row by row."""
    quarter = embed_dims // 4
    frequencies = POSITION_PERIODS ** -(torch.arange(quarter) / quarter)
    waves = torch.arange(grid_size)[:, None] * frequencies * math.pi / 2
    line = torch.cat([waves.sin(), waves.cos()], dim=1)  # (grid_size, embed_dims / 2)
    columns = line.repeat(grid_size, 1)
    rows = line.repeat_interleave(grid_size, dim=0)
    return torch.cat([columns, rows], dim=1)


def draw_stills(number: int, seed: list[int], img_size: int) -> tuple[Tensor, Tensor]:
    """Stills ``(number, 3, S, S)``, uint8, and their captions' numbers ``(number,)``."""
    rng = np.random.default_rng(seed)
    images, captions = zip(*(draw_still(rng, img_size) for _ in range(number)), strict=True)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.tensor(captions)


def normalize(images: Tensor) -> Tensor:
    """Bytes to model inputs."""
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (images - mean) / std


def contrastive_loss(model: nn.Module, images: Tensor, tokens: Tensor, captions: Tensor) -> Tensor:
    """CLIP's symmetric loss, in which an equal caption of another still is no negative.

    Args:
        model: gives both towers and the temperature.
        images: inputs ``(B, 3, S, S)``.
        tokens: of all captions, ``(K, context_length)``.
        captions: of the images, ``(B,)``.
    """
    present, which = captions.unique(return_inverse=True)
    video = F.normalize(model.encode_image(images), dim=-1)
    text = F.normalize(model.encode_text(tokens[present]), dim=-1)[which]
    logits = model.logit_scale.exp() * video @ text.T
    same = captions[:, None] == captions
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, float('-inf'))
    target = torch.arange(len(images))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def train(
    recipe: TinyCLIP, report: Callable[[str], object], interval: int = 200
) -> tuple[nn.Module, Vocabulary]:
    """Train from nothing.

    Args:
        recipe: what and how.
        report: called with a line of text every ``interval`` steps.
        interval: see ``report``.
    """
    torch.manual_seed(recipe.seed)
    vocabulary = Vocabulary(recipe.context_length)
    tokens = vocabulary.tokenize(CAPTIONS)
    model = build(recipe, len(vocabulary.ids))
    report(f'drawing {recipe.num_stills} stills')
    images, captions = draw_stills(recipe.num_stills, [recipe.seed], recipe.img_size)
    optimizer = _optimizer(model, recipe)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, recipe.steps, pct_start=0.1
    )
    model.train()
    for step in range(1, recipe.steps + 1):
        batch = torch.randint(0, recipe.num_stills, (recipe.batch_size,))
        loss = contrastive_loss(model, normalize(images[batch]), tokens, captions[batch])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        if step % interval == 0 or step == recipe.steps:
            report(f'step {step} of {recipe.steps}: loss {loss.item():.3f}')
    return model.eval(), vocabulary


def _optimizer(model: nn.Module, recipe: TinyCLIP) -> torch.optim.Optimizer:
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        table = name.endswith(('embedding', 'embedding.weight'))
        (decayed if parameter.ndim > 1 and not table else others).append(parameter)
    groups = [
        {'params': decayed, 'weight_decay': recipe.weight_decay},
        {'params': others, 'weight_decay': 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))


@torch.no_grad()
def accuracy(model: nn.Module, vocabulary: Vocabulary, recipe: TinyCLIP, number: int) -> float:
    """Share of new stills whose own caption, of all captions, is the nearest."""
    images, captions = draw_stills(number, [recipe.seed, VALIDATION_STREAM], recipe.img_size)
    text = F.normalize(model.encode_text(vocabulary.tokenize(CAPTIONS)), dim=-1)
    nearest = [
        (model.encode_image(normalize(part)) @ text.T).argmax(dim=1) for part in images.split(256)
    ]
    return (torch.cat(nearest) == captions).float().mean().item()


def save(
    path: Path, model: nn.Module, vocabulary: Vocabulary, recipe: TinyCLIP, **notes: str
) -> None:
    """Write the weights in half precision, whole or not at all.

    Keys are open_clip's. ``token_embedding.weight`` has the rows of the tokens
    in ``token_embedding.ids`` alone.

    Args:
        path: of the ``.safetensors``.
        model: as :func:`train` returns it.
        vocabulary: likewise.
        recipe: kept in the file's metadata.
        notes: more metadata.

    Raises:
        DataError: when the system refuses to write.
    """
    from safetensors.torch import save as to_bytes

    tensors = {key: value.half().contiguous() for key, value in model.state_dict().items()}
    tensors['token_embedding.ids'] = vocabulary.ids.int()
    write_whole(path, to_bytes(tensors, {'recipe': json.dumps(asdict(recipe)), **notes}))


def check_writable(path: Path) -> None:
    """Refuse a path before the work whose result it is to take.

    Raises:
        DataError: when the system refuses to write there.
    """
    probe = path.with_name(f'.{path.name}.probe')
    write_whole(probe, b'')
    probe.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside and move it into place.

    Raises:
        DataError: when the system refuses.
    """
    partial = path.with_name(f'.{path.name}.partial')
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise DataError(
            f'{path} cannot be written ({error.strerror}); give another path'
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
