"""Registries of mmxclip: children of MMEngine's, doubled into MMAction2's.

A class registered here answers to two names. ``mmxclip.XCLIP`` resolves from
any scope, because the registry is a child of MMEngine's root registry, and the
plain ``XCLIP`` resolves under ``default_scope='mmaction'``, because the same
class is written into MMAction2's registry of that kind. Modules are imported
when a registry is first asked, not when ``mmxclip`` is imported.
"""

from __future__ import annotations

from typing import Any

import mmaction.registry as host
from mmengine.registry import STRATEGIES as ROOT_STRATEGIES
from mmengine.registry import Registry


class PairedRegistry(Registry):
    """A child of MMEngine's root registry that mirrors into a host registry.

    Args:
        host: MMAction2's registry of the same kind. Its parent, MMEngine's
            registry, becomes the parent of this one as well.
        locations: modules imported when either registry is first searched.
    """

    def __init__(self, host: Registry, locations: list[str]) -> None:
        super().__init__(host.name, parent=host.parent, scope='mmxclip', locations=locations)
        self.host = host
        if not host._imported:
            host._locations.extend(locations)

    def get(self, key: str) -> type | None:
        """Look a name up here, then where MMAction2 looks.

        A config that inherits from ``mmxclip::NAME.py`` is built in this scope, and
        names parts of MMAction2 and MMEngine beside ours.

        Args:
            key: a name, with or without a scope before it.
        """
        scope, name = self.split_scope_key(key)
        if scope is None:
            self.import_from_location()
            if name not in self._module_dict:
                return self.host.get(key)
        return super().get(key)

    def _register_module(self, module: Any, module_name: Any = None, force: bool = False) -> None:
        # the host first: a name that is taken there is refused before it is taken here
        self.host._register_module(module, module_name, force)
        super()._register_module(module, module_name, force)


MODELS = PairedRegistry(host.MODELS, ['mmxclip.models'])
MODEL_WRAPPERS = PairedRegistry(host.MODEL_WRAPPERS, ['mmxclip.engine'])
WEIGHT_INITIALIZERS = PairedRegistry(host.WEIGHT_INITIALIZERS, ['mmxclip.models'])
DATASETS = PairedRegistry(host.DATASETS, ['mmxclip.datasets'])
DATA_SAMPLERS = PairedRegistry(host.DATA_SAMPLERS, ['mmxclip.datasets'])
TRANSFORMS = PairedRegistry(host.TRANSFORMS, ['mmxclip.datasets.transforms'])
HOOKS = PairedRegistry(host.HOOKS, ['mmxclip.engine', 'mmxclip.visualization'])
LOOPS = PairedRegistry(host.LOOPS, ['mmxclip.engine'])
OPTIM_WRAPPERS = PairedRegistry(host.OPTIM_WRAPPERS, ['mmxclip.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = PairedRegistry(host.OPTIM_WRAPPER_CONSTRUCTORS, ['mmxclip.engine'])
# MMAction2 has no registry of strategies: these go by their prefixed name alone.
STRATEGIES = Registry(
    'strategy', parent=ROOT_STRATEGIES, scope='mmxclip', locations=['mmxclip.engine']
)
PARAM_SCHEDULERS = PairedRegistry(host.PARAM_SCHEDULERS, ['mmxclip.engine'])
FUNCTIONS = PairedRegistry(host.FUNCTION, ['mmxclip.engine'])
METRICS = PairedRegistry(host.METRICS, ['mmxclip.evaluation'])
VISUALIZERS = PairedRegistry(host.VISUALIZERS, ['mmxclip.visualization'])

# Kinds of which this package has none yet: so that MMAction2's are found from this scope too.
for _name, _host in list(vars(host).items()):
    _parent = getattr(_host, 'parent', None) if isinstance(_host, Registry) else None
    if _parent is not None and 'mmxclip' not in _parent.children:
        globals().setdefault(_name, PairedRegistry(_host, ['mmxclip.engine']))

# ``Registry.get`` imports ``_locations`` once. Where the host was asked before
# this module existed, that is over, and only an import from here still counts.
# It waits until every registry stands, because the components need them.
for _registry in [value for value in globals().values() if isinstance(value, PairedRegistry)]:
    if _registry.host._imported:
        _registry.import_from_location()
