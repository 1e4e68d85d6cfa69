"""Mends what is broken upstream, in one place; see :func:`mend`.

Each repair is one function that first looks whether its fault is there, says
what goes wrong without it, and changes nothing where upstream is whole or has
been mended already.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from mmengine.fileio import LocalBackend
from mmengine.registry import Registry

from mmxclip.late import when_imported

DRN = 'mmaction.models.localizers.drn'
VINDLU = ('VindLUVQA', 'VindLURetrievalMC', 'VindLURetrieval')
PARTIAL = 'partial_'


def mend() -> None:
    """Apply every repair whose fault is present. Cheap, and harmless when repeated."""
    provide_drn()
    leave_out_vindlu()
    drop_absent_locations()
    guard_checkpoint_loading()
    save_whole_files()
    let_cpu_ranks_start()
    let_cpu_ranks_wrap()
    score_in_float32()
    let_inferencers_know_us()


def provide_drn() -> None:
    """Stand in for a package that MMAction2's release forgot.

    ``mmaction/models/localizers/drn`` lacks an ``__init__.py``, so that the
    wheel of 1.2.0 came without it, and ``import mmaction.models`` ends in "No
    module named 'mmaction.models.localizers.drn'". DRN itself stays unusable.
    """
    if (_mmaction_folder() / 'models' / 'localizers' / 'drn' / 'drn.py').exists():
        return
    if DRN in sys.modules:
        return

    class MissingDRN:
        """Stands for ``DRN``, which the released mmaction2 lacks."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise ImportError('DRN is not part of the released mmaction2; install it from source')

    for name in (DRN, f'{DRN}.drn'):
        module = module_from_spec(ModuleSpec(name, loader=None, is_package=name == DRN))
        vars(module)['DRN'] = MissingDRN
        sys.modules[name] = module


def leave_out_vindlu() -> None:
    """Leave VindLU out where transformers has moved on.

    With transformers of about 4.56 and later, ``import mmaction.models`` ends
    in "cannot import name 'apply_chunking_to_forward'", for the sake of three
    models that few use. They become MMAction2's own placeholders, as if
    transformers were absent. An import of ``mmaction.models`` that has failed
    on this before has left their names behind, which the placeholders need.
    """
    if 'mmaction.models.multimodal' in sys.modules or not _vindlu_is_broken():
        return
    from mmaction.registry import MODELS
    from mmaction.utils import dependency

    dependency.WITH_MULTIMODAL = False
    for name in VINDLU:
        MODELS.module_dict.pop(name, None)


def drop_absent_locations() -> None:
    """Drop modules that MMAction2's registries name and that do not exist.

    ``mmaction.registry.FUNCTION`` says ``mmaction.mmengine``, and every config
    with a ``collate_fn`` ends an ``ActionRecogInferencer`` in "No module named
    'mmaction.mmengine'".
    """
    from mmaction import registry as host

    for registry in vars(host).values():
        if isinstance(registry, Registry):
            registry._locations[:] = [name for name in registry._locations if _exists(name)]


def guard_checkpoint_loading() -> None:
    """Let MMEngine load its own checkpoints, and nothing that runs code.

    A Runner pickles its message hub into checkpoints, which ``torch.load``
    refuses since 2.6 ("Weights only load failed"), so that resuming,
    ``load_from`` and inferencers fail; downloads and older versions of torch
    run whatever a file holds. All of MMEngine's loaders that end in a file of
    pickles are pointed to :mod:`mmxclip.checkpoints`.
    """
    when_imported('mmengine.runner.checkpoint', _guard_loaders)


def save_whole_files() -> None:
    """Let MMEngine write local files beside and move them in place.

    It writes in place, so that a run that is killed while it saves, or finds
    the disk full, leaves half a file under the name of the old one, which
    ``last_checkpoint`` may name. What is left beside is called ``partial_*``.
    """
    if _is_ours(LocalBackend.put):
        return

    def put(self: LocalBackend, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to ``filepath``, wholly or not at all."""
        with _beside(filepath) as partial, open(partial, 'wb') as file:
            file.write(obj)

    LocalBackend.put = put


def let_cpu_ranks_start() -> None:
    """Let processes without a GPU join a group.

    Each of MMEngine's launchers sets a CUDA device first: "Found no NVIDIA
    driver on your system". That call does nothing while a group is joined on
    a machine without CUDA, which is asked then and not now, since asking can
    keep worker processes from forking.
    """
    from mmengine.dist import utils

    for name in ('_init_dist_pytorch', '_init_dist_mpi', '_init_dist_slurm'):
        start = getattr(utils, name, None)
        if start is not None and not _is_ours(start):
            setattr(utils, name, _without_cuda_device(start))


def let_cpu_ranks_wrap() -> None:
    """Let ``MMDistributedDataParallel`` wrap a model that is on the CPU.

    Runner passes the local rank as ``device_ids``, which torch refuses there:
    "device_ids and output_device arguments only work with single-device/
    multiple-device GPU modules or CPU modules, but got device_ids [0]".
    """
    when_imported('mmengine.model.wrappers.distributed', _wrap_without_device_ids)


def score_in_float32() -> None:
    """Let MMAction2's heads take scores in bfloat16.

    They hand scores to NumPy for the accuracy of a training step, which has no
    bfloat16, so that mixed precision on a CPU, or in bfloat16 on a GPU, ends in
    "Got unsupported ScalarType BFloat16". Losses of half-precision scores lose
    digits besides.
    """
    when_imported('mmaction.models.heads.base', _lift_scores)


def let_inferencers_know_us() -> None:
    """Let MMAction2's inferencers take names of our configs, and tell names of classes.

    ``MMAction2Inferencer(rec='xclip_b16_k400')`` ends in "Cannot find model:
    xclip_b16_k400 in mmaction", and no argument of it names another package.
    """

    def models(module: ModuleType) -> None:
        from mmxclip.inference.stock_inferencers import know_our_models

        know_our_models(module)

    def names(module: ModuleType) -> None:
        from mmxclip.inference.stock_inferencers import pass_names_on

        pass_names_on(module)

    when_imported('mmaction.apis.inferencers.actionrecog_inferencer', models)
    when_imported('mmaction.apis.inferencers.mmaction2_inferencer', names)


def _is_ours(function: Any) -> bool:
    """Whether a function has been put in place by this module."""
    return getattr(function, '__globals__', None) is globals()


def _mmaction_folder() -> Path:
    """Where MMAction2 is installed.

    Raises:
        ImportError: it is not, or nothing but an empty folder is left of it.
    """
    try:
        import mmaction
    except ModuleNotFoundError as error:
        if error.name != 'mmaction':
            raise
        mmaction = None
    if getattr(mmaction, '__file__', None) is None:
        raise ImportError(
            'mmaction2 is not installed; pip install "mmxclip[all]" brings it', name='mmaction'
        )
    return Path(mmaction.__file__).parent


def _exists(name: str) -> bool:
    """Whether a module of MMAction2 exists, told without importing its parents."""
    root, *parts = name.split('.')
    if root != 'mmaction':
        return True
    path = _mmaction_folder().joinpath(*parts)
    return path.is_dir() or path.with_suffix('.py').exists()


def _vindlu_is_broken() -> bool:
    """Whether a name that VindLU imports from transformers is gone, told by reading both."""
    spec = find_spec('transformers')
    if spec is None or spec.origin is None:
        return False
    root = Path(spec.origin).parent
    for source in (_mmaction_folder() / 'models' / 'multimodal' / 'vindlu').glob('*.py'):
        text = source.read_text(encoding='utf-8')
        if 'transformers.' in text and not all(_offers(root, *names) for names in _imports(text)):
            return True
    return False


def _imports(text: str) -> Iterator[tuple[str, list[str]]]:
    """Give module and names of each ``from transformers.x import y`` in a source."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('transformers.'):
            yield node.module or '', [alias.name for alias in node.names]


def _offers(root: Path, module: str, names: list[str]) -> bool:
    """Whether a module mentions all of ``names``; packages re-export, and are believed."""
    path = root.joinpath(*module.split('.')[1:])
    if path.is_dir():
        return True
    file = path.with_suffix('.py')
    if not file.exists():
        return False
    text = file.read_text(encoding='utf-8')
    return all(re.search(rf'\b{name}\b', text) for name in names)


@contextmanager
def _beside(filepath: str | Path) -> Iterator[str]:
    """Give a name to write to, which becomes ``filepath`` when the block has ended well."""
    target = os.path.realpath(filepath)  # a link stays a link
    folder, name = os.path.split(target)
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(target) and not os.path.isfile(target):
        yield target  # a device or a pipe can only be written to as it is
        return
    partial = os.path.join(folder, f'{PARTIAL}{os.getpid()}_{name}')
    try:
        yield partial
        with open(partial, 'rb') as file:
            os.fsync(file.fileno())  # a name never reaches the disk before its content
        os.replace(partial, target)
    except BaseException:
        if os.path.exists(partial):
            os.remove(partial)
        raise


def _guard_loaders(checkpoint: Any) -> None:
    if _is_ours(checkpoint.load_url):
        return

    # Imported when first used: a program that loads nothing does not wait for it.
    def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
        from mmxclip.checkpoints import loaders

        return loaders.load_from_local(filename, map_location)

    def load_from_ceph(filename: str, map_location: Any = None, **kwargs: Any) -> dict[str, Any]:
        from mmxclip.checkpoints import loaders

        return loaders.load_from_ceph(filename, map_location, **kwargs)

    def load_url(*args: Any, **kwargs: Any) -> dict[str, Any]:
        from mmxclip.checkpoints import loaders

        return loaders.load_url(*args, **kwargs)

    register = checkpoint.CheckpointLoader.register_scheme
    register('', load_from_local, force=True)
    register([r'(\S+\:)?s3://', r'(\S+\:)?petrel://'], load_from_ceph, force=True)
    checkpoint.load_url = load_url  # http, https, torchvision, open-mmlab and mmcls


def _without_cuda_device(start: Callable[..., None]) -> Callable[..., None]:
    """Wrap a launcher so that it sets no CUDA device where there is none."""

    @functools.wraps(start)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        import torch

        if torch.cuda.is_available():
            return start(*args, **kwargs)
        set_device = torch.cuda.set_device
        torch.cuda.set_device = lambda device: None
        try:
            return start(*args, **kwargs)
        finally:
            torch.cuda.set_device = set_device

    return wrapped


def _wrap_without_device_ids(distributed: Any) -> None:
    init = distributed.MMDistributedDataParallel.__init__
    if _is_ours(init):
        return

    @functools.wraps(init)
    def without_device_ids(self: Any, module: Any, *args: Any, **kwargs: Any) -> None:
        if all(parameter.device.type == 'cpu' for parameter in module.parameters()):
            kwargs['device_ids'] = None
        init(self, module, *args, **kwargs)

    distributed.MMDistributedDataParallel.__init__ = without_device_ids


def _lift_scores(base: Any) -> None:
    loss_by_feat = base.BaseHead.loss_by_feat
    if _is_ours(loss_by_feat):
        return

    @functools.wraps(loss_by_feat)
    def lifted(self: Any, cls_scores: Any, data_samples: Any) -> dict:
        if str(getattr(cls_scores, 'dtype', '')) == 'torch.bfloat16':
            cls_scores = cls_scores.float()
        return loss_by_feat(self, cls_scores, data_samples)

    base.BaseHead.loss_by_feat = lifted
