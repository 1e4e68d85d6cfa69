"""Parameter groups of X-CLIP: slow for what CLIP has learnt, fast for what is new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import Size, nn

from mmxclip.engine.fsdp import original_shapes
from mmxclip.errors import ConfigError
from mmxclip.registry import OPTIM_WRAPPER_CONSTRUCTORS

WRAPPERS = frozenset({'_fsdp_wrapped_module', '_orig_mod', '_checkpoint_wrapped_module'})
NO_DECAY_NAME = 'positional_embedding'
DEFAULTS = {'new_lr_mult': 10.0, 'new_keys': ()}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class XCLIPOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Build an optimizer with at most four groups: base or new, decayed or not.

    A parameter is *new* when an image-text model's weights cannot fill it. The
    module that owns it says so: a module may have a method
    ``new_parameter_names()`` that returns names relative to itself. Nothing is
    decided by how a name reads (in the research code ``mit`` also means
    ``transmitter``).

    Not decayed are tensors of at most one dimension, biases, and tables named
    ``positional_embedding``. The research code decays ``logit_scale``, which
    has no dimension, when text is trained; its authors' rule for scales and
    biases was clearly meant for it too, so here it is not decayed.

    Frozen parameters are left out.

    Args:
        optim_wrapper_cfg: config of the wrapper; ``optimizer`` must give ``lr``.
        paramwise_cfg: ``new_lr_mult`` (10) multiplies ``lr`` for new parameters;
            ``new_keys`` names further new parts by full name, for modules that
            do not tell: ``'neck'`` means ``neck`` and all below it.

    Raises:
        ConfigError: for other keys, for a key that names nothing, without ``lr``.

    Source: the recipe of arXiv:2208.02816 (X-CLIP), supplementary material.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        unknown = sorted(set(paramwise_cfg or {}) - set(DEFAULTS))
        if unknown:
            raise ConfigError(
                f'paramwise_cfg has {unknown}; XCLIPOptimWrapperConstructor knows {list(DEFAULTS)}'
            )
        # never empty: with an empty one, MMEngine would not make any groups
        super().__init__(optim_wrapper_cfg, {**DEFAULTS, **(paramwise_cfg or {})})
        if self.base_lr is None:
            raise ConfigError('optim_wrapper.optimizer has no lr; give the one for the CLIP part')
        self._shapes: dict[nn.Parameter, Size] = {}
        if isinstance(self.paramwise_cfg['new_keys'], str):
            raise ConfigError(
                f'paramwise_cfg.new_keys={self.paramwise_cfg["new_keys"]!r} must be a list of names'
            )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer wrapper for ``model``, wrapped or not."""
        self._shapes = original_shapes(model)  # MMEngine unwraps next, and drops FSDP's outermost
        return super().__call__(model)

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: Any
    ) -> None:
        """Append the groups of ``module`` to ``params``.

        Args:
            params: groups so far, extended in place.
            module: a model, wrapped or not.
            prefix: the name of ``module`` in a larger model.
            kwargs: what MMEngine passes to other constructors; not used.
        """
        new = set(new_parameters(module))
        shapes = {**self._shapes, **original_shapes(module)}
        groups: dict[str, dict] = {}
        names = []
        for name, parameter in module.named_parameters(prefix=prefix):
            name = plain_name(name)
            names.append(name)
            if not parameter.requires_grad:
                continue
            is_new = parameter in new or any(_below(name, key) for key in self._new_keys)
            ndim = len(shapes.get(parameter, parameter.shape))
            group = self._group(is_new, decayed=_is_decayed(name, ndim))
            groups.setdefault(group['name'], group)['params'].append(parameter)
        self._check_new_keys(names)
        for name in sorted(groups):  # base first: its learning rate is the one that is logged
            self._report(groups[name])
            params.append(groups[name])

    @property
    def _new_keys(self) -> Iterable[str]:
        return self.paramwise_cfg['new_keys']

    def _group(self, is_new: bool, decayed: bool) -> dict:
        """An empty group with its settings."""
        lr = self.base_lr * (self.paramwise_cfg['new_lr_mult'] if is_new else 1)
        group = {'params': [], 'name': 'new' if is_new else 'base', 'lr': lr}
        if decayed and self.base_wd is not None:
            group['weight_decay'] = self.base_wd
        if not decayed and self.base_wd != 0:  # None: an optimizer's own default, 0.01 for AdamW
            group['weight_decay'] = 0.0
            group['name'] += '_no_decay'
        return group

    def _check_new_keys(self, names: list[str]) -> None:
        for key in self._new_keys:
            if not any(_below(name, key) for name in names):
                raise ConfigError(
                    f'paramwise_cfg.new_keys holds {key!r}, and no parameter is called so or lies '
                    'below it; give full names such as "backbone.blocks.0"'
                )

    @staticmethod
    def _report(group: dict) -> None:
        settings = ', '.join(
            f'{key}={group[key]:g}' for key in ('lr', 'weight_decay') if key in group
        )
        count = sum(parameter.numel() for parameter in group['params'])
        print_log(
            f'parameter group {group["name"]}: {settings}, '
            f'{len(group["params"])} tensors, {count} numbers',
            logger='current',
        )


def new_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that the modules of ``model`` call new, frozen ones too.

    Raises:
        ConfigError: when a module names a parameter that it does not have.
    """
    for path, module in model.named_modules():
        if not callable(getattr(type(module), 'new_parameter_names', None)):
            continue
        own = {plain_name(name): parameter for name, parameter in module.named_parameters()}
        for name in module.new_parameter_names():
            name = plain_name(name)
            if name not in own:
                raise ConfigError(
                    f'{type(module).__name__} ({path or "the model"}) calls {name!r} new, '
                    'but has no such parameter'
                )
            yield own[name]


def plain_name(name: str) -> str:
    """Return ``name`` without what DDP, FSDP, ``compile`` and checkpointing put into it."""
    parts = name.split('.')
    if parts[0] == 'module':  # only in front: further inside it may be a module's own name
        parts = parts[1:]
    return '.'.join(part for part in parts if part not in WRAPPERS)


def _below(name: str, key: str) -> bool:
    """Whether ``name`` is ``key`` or lies below it, by whole steps of the path."""
    return name == key or name.startswith(f'{key}.')


def _is_decayed(name: str, ndim: int) -> bool:
    last = name.rsplit('.', 1)[-1]
    return ndim > 1 and last != 'bias' and NO_DECAY_NAME not in last
