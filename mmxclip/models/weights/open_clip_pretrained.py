"""Start from the weights of an image-text model."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmxclip.checkpoints.state_dicts import load_state_dict
from mmxclip.errors import CheckpointError, ConfigError
from mmxclip.models.text.clip_text_encoder import open_clip_config
from mmxclip.registry import WEIGHT_INITIALIZERS

PACKAGED = 'mmxclip::'
TOKEN_ROWS = 'token_embedding.weight'
TOKEN_IDS = 'token_embedding.ids'
CLIP_VOCAB_SIZE = 49408


@WEIGHT_INITIALIZERS.register_module()
class OpenCLIPPretrained:
    """Fill vision tower, text tower and temperature from an image-text model.

    For use as ``init_cfg`` of the recognizer, or of one tower alone. Every
    sub-module that has a ``load_open_clip`` method takes its part; parameters
    that an image model does not have keep their initial values. The network is
    reached in ``init_weights()`` only, never while a model is built.

    Args:
        pretrained: one of
            a tag that open_clip lists for ``model``, e.g. ``'openai'``
            (downloaded once, into ``cache_dir``);
            a local file: ``.safetensors``, a state dict, or OpenAI's archive;
            ``'mmxclip::NAME'``: a file that this package ships.
        model: open_clip model name, e.g. ``'ViT-B-16-quickgelu'``; needed for a
            tag.
        interpolate: resize the table of patch positions when the image sizes
            differ, instead of refusing.
        cache_dir: folder for downloads; None for open_clip's default.

    Raises:
        ConfigError: for unknown names, or an activation that the weights were
            not trained with.
        CheckpointError: when the weights cannot be had or do not fit.
    """

    def __init__(
        self,
        pretrained: str,
        model: str | None = None,
        interpolate: bool = False,
        cache_dir: str | None = None,
    ) -> None:
        self.pretrained = pretrained
        self.model = model
        self.interpolate = interpolate
        self.cache_dir = cache_dir

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into ``module`` and all below it."""
        parts: list[Any] = [p for p in module.modules() if hasattr(p, 'load_open_clip')]
        if not parts:
            raise ConfigError(
                f'init_cfg OpenCLIPPretrained was given to {type(module).__name__}, which has no '
                'part that takes image-text weights; give it to XCLIP, CrossFrameViT or '
                'CLIPTextEncoder'
            )
        path = self._local_path()
        tag = self._tag_config() if path is None else {}
        self._check_activation(parts, tag)  # before a long download
        state_dict = expand_token_rows(load_state_dict(path or self._download(tag)))
        for part in parts:
            options = (
                {'interpolate': True} if self.interpolate and hasattr(part, 'grid_size') else {}
            )
            part.load_open_clip(state_dict, **options)
        print_log(f'loaded image-text weights from {self._source()}', logger='current')

    def _source(self) -> str:
        return self.pretrained if self.model is None else f'{self.model}/{self.pretrained}'

    def _local_path(self) -> Path | None:
        """Where the weights lie; None when they are named by tag."""
        if self.pretrained.startswith(PACKAGED):
            return packaged_weights(self.pretrained.removeprefix(PACKAGED))
        path = Path(self.pretrained).expanduser()
        if path.is_file() or path.suffix:
            return path  # loading reports an absent file
        if self.model is None:
            raise ConfigError(
                f'pretrained={self.pretrained!r} is no local file; to use it as a tag of '
                "open_clip, set model too, e.g. model='ViT-B-16-quickgelu'"
            )
        return None

    def _tag_config(self) -> Mapping[str, Any]:
        from open_clip import pretrained

        assert self.model is not None
        open_clip_config(self.model)  # an unknown name is answered with the nearest
        config = pretrained.get_pretrained_cfg(self.model, self.pretrained)
        if not config:
            tags = ', '.join(pretrained.list_pretrained_tags_by_model(self.model)) or 'none'
            raise ConfigError(
                f'pretrained={self.pretrained!r} is no tag of model={self.model!r} and no local '
                f'file; tags: {tags}'
            )
        return config

    def _download(self, config: Mapping[str, Any]) -> Path:
        from open_clip.pretrained import download_pretrained

        origin = config.get('url') or f'hf-hub:{config.get("hf_hub")}'
        try:
            return Path(download_pretrained(config, cache_dir=self.cache_dir))
        except Exception as error:  # each hub client has its own
            raise CheckpointError(
                f'weights {self._source()} could not be had from {origin} '
                f'({type(error).__name__}); fetch that file on a machine with access and set '
                'init_cfg.pretrained to its path, or init_cfg=None to start from random weights'
            ) from error

    def _check_activation(self, parts: list[Any], tag: Mapping[str, Any]) -> None:
        """Weights of one activation run, and score badly, with the other."""
        if self.model is None:
            return
        # Many a tag belongs to QuickGELU under a model name that does not say so.
        quick = open_clip_config(self.model).get('quick_gelu') or tag.get('quick_gelu')
        expected = 'quick_gelu' if quick else 'gelu'
        for part in parts:
            act = getattr(part, 'act', expected)
            if act != expected:
                raise ConfigError(
                    f'{type(part).__name__} has act={act!r}, but {self._source()} was trained '
                    f'with {expected!r}; set act={expected!r} there, or name the model whose '
                    f"name {'ends' if quick else 'does not end'} in '-quickgelu'"
                )


def packaged_weights(name: str) -> Path:
    """Path of a weights file that the package ships.

    Raises:
        CheckpointError: for a name that is not shipped; the shipped ones are
            listed.
    """
    folder = Path(str(resources.files('mmxclip'))) / 'resources' / 'weights'
    shipped = sorted(path.name for path in folder.glob('*.safetensors'))
    if name not in shipped:  # also keeps '../' out
        raise CheckpointError(
            f'{PACKAGED}{name} is not shipped with mmxclip; shipped: {", ".join(shipped) or "none"}'
        )
    return folder / name


def expand_token_rows(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Restore a token table of which only the used rows were stored.

    Small models ship ``token_embedding.weight (R, W)`` with the ids of its rows,
    ``token_embedding.ids (R,)``; all other rows are zero.

    Raises:
        CheckpointError: when rows and ids do not belong together.
    """
    expanded = dict(state_dict)
    ids = expanded.pop(TOKEN_IDS, None)
    if ids is None:
        return expanded
    rows = expanded.get(TOKEN_ROWS)
    if rows is None:
        raise CheckpointError(f'{TOKEN_IDS} is there, but no {TOKEN_ROWS}; the file is damaged')
    if not _numbers_rows(ids, rows):
        raise CheckpointError(
            f'{TOKEN_IDS} {tuple(ids.shape)} does not number the rows of {TOKEN_ROWS} '
            f'{tuple(rows.shape)} within {CLIP_VOCAB_SIZE} tokens; the file is damaged'
        )
    table = torch.zeros(CLIP_VOCAB_SIZE, rows.shape[1], dtype=rows.dtype)
    table[ids.long()] = rows
    expanded[TOKEN_ROWS] = table
    return expanded


def _numbers_rows(ids: Tensor, rows: Tensor) -> bool:
    """Whether ``ids`` are as many different token ids as there are rows."""
    if ids.is_floating_point() or ids.shape != rows.shape[:1] or rows.dim() != 2:
        return False
    return len(ids.unique()) == len(ids) and bool(((ids >= 0) & (ids < CLIP_VOCAB_SIZE)).all())
