"""X-CLIP in the format of Hugging Face's ``transformers``.

The tensors are the authors' under other names; queries, keys and values stand
apart, and two projections are transposed. Cutting, joining and transposing are
exact, so files go there and back bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from mmxclip.checkpoints.architecture import NECK, PROMPT, TEXT, VISION
from mmxclip.checkpoints.key_tables import KeyTable, list_keys
from mmxclip.errors import CheckpointError

TRANSPOSED = '.T'
THIRDS = ('.0', '.1', '.2')
"""What is put behind our name of a tensor to name its transpose, and its thirds."""

POSITION_IDS = {
    'vision_model.embeddings.position_ids': 'vision_model.embeddings.position_embedding.weight',
    'text_model.embeddings.position_ids': 'text_model.embeddings.position_embedding.weight',
}
"""Buffers that count the rows of a table; transformers saved them until version 4.31."""


def _both(theirs: str, ours: str) -> list[tuple[str, str]]:
    return [(f'{theirs}.{leaf}', f'{ours}.{leaf}') for leaf in ('weight', 'bias')]


def _attention(theirs: str, ours: str, packed: str) -> list[tuple[str, str]]:
    thirds = [
        (f'{theirs}.{name}_proj.{leaf}', f'{ours}.{packed}{leaf}{third}')
        for name, third in zip('qkv', THIRDS, strict=True)
        for leaf in ('weight', 'bias')
    ]
    return [*thirds, *_both(f'{theirs}.out_proj', f'{ours}.out_proj')]


def _block(
    theirs: str,
    ours: str,
    packed: str = 'qkv.',
    norms: tuple[str, str] = ('norm1', 'norm2'),
    linears: tuple[str, str] = ('fc1', 'fc2'),
) -> list[tuple[str, str]]:
    return [
        *_attention(f'{theirs}.self_attn', f'{ours}.attn', packed),
        *_both(f'{theirs}.layer_norm1', f'{ours}.{norms[0]}'),
        *_both(f'{theirs}.layer_norm2', f'{ours}.{norms[1]}'),
        *_both(f'{theirs}.mlp.fc1', f'{ours}.mlp.{linears[0]}'),
        *_both(f'{theirs}.mlp.fc2', f'{ours}.mlp.{linears[1]}'),
    ]


_VISION = 'vision_model.'
_LAYER = f'{_VISION}encoder.layers.{{i}}'
_BLOCK = f'{VISION}blocks.{{i}}'
_DECODER = 'prompts_generator.decoder.{i}'
_PROMPT_LAYER = f'{PROMPT}layers.{{i}}'

HUGGING_FACE = KeyTable(
    [
        (f'{_VISION}embeddings.class_embedding', f'{VISION}class_embedding'),
        (f'{_VISION}embeddings.patch_embedding.weight', f'{VISION}patch_embed.weight'),
        (f'{_VISION}embeddings.position_embedding.weight', f'{VISION}positional_embedding'),
        *_both(f'{_VISION}pre_layernorm', f'{VISION}ln_pre'),
        *_both(f'{_VISION}post_layernorm', f'{VISION}ln_post'),
        *_block(_LAYER, _BLOCK),
        *_both(f'{_LAYER}.message_fc', f'{_BLOCK}.message_fc'),
        *_both(f'{_LAYER}.message_ln', f'{_BLOCK}.message_norm'),
        *_attention(f'{_LAYER}.message_attn', f'{_BLOCK}.message_attn', 'qkv.'),
        ('visual_projection.weight', f'{VISION}proj{TRANSPOSED}'),
        ('mit.position_embedding', f'{NECK}positional_embedding'),
        *_block('mit.encoder.layers.{i}', f'{NECK}blocks.{{i}}'),
        *_both('prompts_visual_layernorm', f'{PROMPT}patch_norm'),
        ('prompts_visual_projection', f'{PROMPT}patch_proj'),
        ('prompts_generator.alpha', f'{PROMPT}alpha'),
        *_both('prompts_generator.layernorm', f'{PROMPT}context_norm'),
        *[
            (f'{_DECODER}.cross_attn.{name}.weight', f'{_PROMPT_LAYER}.attn.{name}.weight')
            for name in ('q_proj', 'k_proj', 'v_proj')
        ],
        *_both(f'{_DECODER}.cross_attn.proj', f'{_PROMPT_LAYER}.attn.out_proj'),
        *_both(f'{_DECODER}.norm1', f'{_PROMPT_LAYER}.norm1'),
        *_both(f'{_DECODER}.norm3', f'{_PROMPT_LAYER}.norm2'),
        *_both(f'{_DECODER}.mlp.0', f'{_PROMPT_LAYER}.mlp.fc1'),
        *_both(f'{_DECODER}.mlp.3', f'{_PROMPT_LAYER}.mlp.fc2'),
        ('text_model.embeddings.token_embedding.weight', f'{TEXT}token_embedding.weight'),
        ('text_model.embeddings.position_embedding.weight', f'{TEXT}positional_embedding'),
        *_block(
            'text_model.encoder.layers.{i}',
            f'{TEXT}transformer.resblocks.{{i}}',
            packed='in_proj_',
            norms=('ln_1', 'ln_2'),
            linears=('c_fc', 'c_proj'),
        ),
        *_both('text_model.final_layer_norm', f'{TEXT}ln_final'),
        ('text_projection.weight', f'{TEXT}text_projection{TRANSPOSED}'),
        ('logit_scale', 'cls_head.logit_scale'),
    ]
)
"""transformers' ``XCLIPModel`` to the state dict of ``XCLIP``, in parts and transposes."""

_OURS = HUGGING_FACE.inverse()


def to_own(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename, join and transpose; ``position_ids`` are checked and left out.

    Raises:
        CheckpointError: for keys that are not known, thirds that are missing or
            do not fit each other, and position ids that do more than count.
    """
    weights = {key: value for key, value in state_dict.items() if key not in POSITION_IDS}
    pieces = HUGGING_FACE.convert(weights)
    _check_position_ids(state_dict)
    own: dict[str, Tensor] = {}
    for name, value in pieces.items():
        if name.endswith(TRANSPOSED):
            own[name.removesuffix(TRANSPOSED)] = _transpose(name, value)
        elif name.endswith(THIRDS):
            packed = name[:-2]
            if packed not in own:
                own[packed] = _join(packed, pieces)
        else:
            own[name] = value
    return own


def from_own(state: Mapping[str, Tensor], position_ids: Iterable[str] = ()) -> dict[str, Tensor]:
    """Cut, transpose and rename.

    Args:
        state: tensors under our names.
        position_ids: which of :data:`POSITION_IDS` to write as well.

    Raises:
        CheckpointError: for names that the format has no place for.
    """
    pieces: dict[str, Tensor] = {}
    for name, value in state.items():
        if _OURS.rename(name + TRANSPOSED):
            pieces[name + TRANSPOSED] = _transpose(name, value)
        elif _OURS.rename(name + THIRDS[0]):
            if value.dim() == 0 or len(value) % 3:
                raise CheckpointError(
                    f'{name} {tuple(value.shape)} does not hold queries, keys and values'
                )
            thirds = (part.clone() for part in value.chunk(3))
            pieces |= zip((name + third for third in THIRDS), thirds, strict=True)
        else:
            pieces[name] = value
    theirs = _OURS.convert(pieces)
    for name in position_ids:
        theirs[name] = torch.arange(len(theirs[POSITION_IDS[name]])).unsqueeze(0)
    return theirs


def _transpose(name: str, value: Tensor) -> Tensor:
    if value.dim() != 2:
        raise CheckpointError(f'{name} {tuple(value.shape)} is no matrix')
    return value.t().contiguous()


def _join(packed: str, pieces: Mapping[str, Tensor]) -> Tensor:
    names = [packed + third for third in THIRDS]
    missing = [_OURS.rename(name) or name for name in names if name not in pieces]
    if missing:
        raise CheckpointError(
            f'{len(missing)} tensors are missing: {list_keys(missing)}; the file is incomplete'
        )
    thirds = [pieces[name] for name in names]
    if len({(third.shape, third.dtype) for third in thirds}) > 1 or thirds[0].dim() == 0:
        listed = [
            f'{_OURS.rename(name)} {tuple(third.shape)} {third.dtype}'
            for name, third in zip(names, thirds, strict=True)
        ]
        raise CheckpointError(f'tensors that belong together differ: {list_keys(listed)}')
    return torch.cat(thirds)


def _check_position_ids(state_dict: Mapping[str, Tensor]) -> None:
    for name, table in POSITION_IDS.items():
        if name not in state_dict or table not in state_dict:
            continue
        ids = state_dict[name]
        if not torch.equal(ids, torch.arange(len(state_dict[table]), dtype=ids.dtype)[None]):
            raise CheckpointError(
                f'{name} {tuple(ids.shape)} does not count the {len(state_dict[table])} rows of '
                f'{table}; the file belongs to another kind of model'
            )
