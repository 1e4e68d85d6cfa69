"""Check that the parts which a config names are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmaction.registry import DATASETS, HOOKS, METRICS, OPTIM_WRAPPERS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import Registry

from mmxclip.doctor.finding import OK, PROBLEM, Finding

SPLITS = ('train', 'val', 'test')


def check_parts(cfg: Config) -> Finding:
    """Types of datasets, transforms, metrics, hooks and the optimizer's wrapper.

    Those of the model are told by building it. Types that are given as classes
    need no registry, and types of another scope, ``scope.Name``, are left to it.

    Args:
        cfg: a whole config, whose ``custom_imports`` have been made.
    """
    named = list(_named(cfg))
    unknown = [f'{place}: {kind}' for place, kind, registry in named if not registry.get(kind)]
    if not unknown:
        return Finding('parts', OK, f'{len(named)} types beside the model are registered')
    return Finding(
        'parts',
        PROBLEM,
        f'not registered: {"; ".join(dict.fromkeys(unknown))}',
        'mend the name, or import its module: custom_imports=dict(imports=[MODULE])',
    )


def _named(cfg: Config) -> Iterator[tuple[str, str, Registry]]:
    """Place, name and registry of each type."""
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        dataset = loader.get('dataset') if isinstance(loader, dict) else None
        while isinstance(dataset, dict):
            yield from _types(f'{split} dataset', dataset, DATASETS)
            yield from _types(f'{split} pipeline', dataset.get('pipeline'), TRANSFORMS)
            dataset = dataset.get('dataset')
        yield from _types(f'{split}_evaluator', cfg.get(f'{split}_evaluator'), METRICS)
    yield from _types('custom_hooks', cfg.get('custom_hooks'), HOOKS)
    for name, hook in (cfg.get('default_hooks') or {}).items():
        yield from _types(f'default_hooks.{name}', hook, HOOKS)
    yield from _types('optim_wrapper', cfg.get('optim_wrapper'), OPTIM_WRAPPERS)


def _types(place: str, configs: Any, registry: Registry) -> Iterator[tuple[str, str, Registry]]:
    for config in configs if isinstance(configs, (list, tuple)) else [configs]:
        kind = config.get('type') if isinstance(config, dict) else None
        if isinstance(kind, str) and '.' not in kind:
            yield place, kind, registry
