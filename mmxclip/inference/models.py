"""Models by name: their config, and the weights that go with it."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mmxclip.apis.config_names import find_config, shipped_configs
from mmxclip.errors import CheckpointError, ConfigError

PACKAGED = 'mmxclip::'


def read_config(model: str | Path | Config) -> tuple[Config, str | None]:
    """A config, and its name when the package ships it.

    Args:
        model: such as ``xclip_b16_k400``, or a path, or a config.

    Raises:
        ConfigError: there is no such config, or it describes no model.
    """
    from mmxclip.apis.launch import load_config

    if isinstance(model, Config):
        cfg, name = model, None
    else:
        path = find_config(model)
        cfg, name = load_config(str(path)), path.stem
        shipped = shipped_configs().get(name)
        name = name if shipped is not None and path.resolve() == shipped.resolve() else None
    if not cfg.get('model'):
        raise ConfigError(f'config {str(model)[:60]!r} has no model; give the config of a run')
    return cfg, name


def build_model(cfg: Config, name: str | None, checkpoint: str | Path | None) -> nn.Module:
    """The model of a config in evaluation mode on the CPU, with weights.

    Args:
        cfg: as :func:`read_config` gives it.
        name: likewise.
        checkpoint: a file, a folder as Hugging Face lays it out, or an address.
            None for the weights that the authors have published, or, for a
            config that starts from a file of this package, for that file.

    Raises:
        ConfigError: the model cannot name classes it was not trained on.
        CheckpointError: there are no weights, or they do not fit.
    """
    source = checkpoint if checkpoint is not None else default_weights(cfg, name)
    if source is None:
        model = _built(cfg, initialize=True)
        print_log(
            f'{name or "the model"} starts from {cfg.model.init_cfg.pretrained}: the parts that '
            'X-CLIP adds to an image-text model are untrained; give a checkpoint for results that '
            'mean something',
            logger='current',
            level=logging.WARNING,
        )
    else:
        state_dict = read_weights(source)  # before a model is built for nothing
        with _NoDraws():  # drawing numbers for all that is loaded takes seconds
            model = _built(cfg)
        if fill(model, state_dict, source):
            model = _built(cfg)
            fill(model, state_dict, source)
    return model.eval().requires_grad_(False)


def _built(cfg: Config, initialize: bool = False) -> nn.Module:
    """The model of a config, refused when it knows no words."""
    from mmaction.registry import MODELS

    from mmxclip.models.heads import VideoPromptHead

    scope = DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmaction')
    with scope, _alike_each_time(), _without_report():
        model = MODELS.build(cfg.model)
        if initialize:
            model.init_weights()
    head = getattr(model, 'cls_head', None)
    if not isinstance(head, VideoPromptHead):
        raise ConfigError(
            f'the model has a cls_head of type {type(head).__name__}; expected a VideoPromptHead, '
            'which compares videos with words'
        )
    return model


def default_weights(cfg: Config, name: str | None) -> str | None:
    """Address of the published weights of a model; None for a file that the package ships.

    Raises:
        CheckpointError: there is neither.
    """
    from mmxclip.zoo import published_models

    known = published_models().get(name or '')
    if known is not None and known.weights:
        return known.weights
    init_cfg = cfg.model.get('init_cfg')
    if isinstance(init_cfg, dict) and str(init_cfg.get('pretrained')).startswith(PACKAGED):
        return None
    what = f'of {name} no weights are published' if name else 'a model of your own has no weights'
    page = f', except on {known.page}' if known is not None and known.page else ''
    raise CheckpointError(f'{what}{page}; give a checkpoint (--checkpoint FILE)')


def read_weights(source: str | Path) -> dict[str, Any]:
    """State dict of a file, a folder or an address, as it is found there.

    Raises:
        CheckpointError: it cannot be had, is damaged or could run code.
    """
    from mmxclip.checkpoints import loaders
    from mmxclip.checkpoints.files import find_weights

    address = str(source)
    if address.startswith(('http://', 'https://')):
        checkpoint = loaders.load_url(address, map_location='cpu', progress=sys.stderr.isatty())
    elif '://' in address:
        raise CheckpointError(
            f'checkpoint {address!r} has an address of a kind that is not read here; expected '
            'a file, a folder or https://'
        )
    else:
        checkpoint = loaders.load_from_local(address, 'cpu')
    return dict(find_weights(checkpoint, address))


@contextlib.contextmanager
def _alike_each_time() -> Iterator[None]:
    """Draw what no weights are loaded for from one seed, and leave the caller's state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@contextlib.contextmanager
def _without_report() -> Iterator[None]:
    """Keep MMEngine from printing a line for each parameter that it initializes."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def fill(model: nn.Module, state_dict: dict[str, Any], source: str | Path) -> list[str]:
    """Fill a model; XCLIP takes foreign formats and refuses what does not fit.

    Returns:
        Names that have kept their values, since an image-text model lacks them.

    Raises:
        CheckpointError: names or shapes differ.
    """
    from mmxclip.models.recognizers import XCLIP

    own = {name for name, _ in model.named_parameters()}
    foreign = not any(name in own for name in state_dict)
    try:
        with torch.no_grad():
            missing, unexpected = model.load_state_dict(state_dict, strict=False, assign=True)
    except CheckpointError as error:
        raise CheckpointError(f'checkpoint {source} cannot fill the model: {error}') from error
    except RuntimeError as error:
        raise CheckpointError(
            f'checkpoint {source} does not fit the model: {" ".join(str(error).split())[:300]}'
        ) from error
    # XCLIP judges foreign formats by itself: image-text weights have no messages
    if missing and not (foreign and isinstance(model, XCLIP)):
        raise CheckpointError(
            f'checkpoint {source} does not fit the model: {len(missing)} tensors are missing '
            f'(first {missing[0]}), {len(unexpected)} are not known; give the weights of this model'
        )
    model.float()  # half-precision files; takes no time for others
    return list(missing)


class _NoDraws(TorchFunctionMode):
    """Puts zeros where a module fills new tensors with random numbers.

    Not whatever is in memory: ``trunc_normal_`` draws until all values are in its bounds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Call a function of torch, or leave it out."""
        if func in (Tensor.normal_, Tensor.uniform_, Tensor.erfinv_):
            return args[0].zero_()
        return func(*args, **(kwargs or {}))
