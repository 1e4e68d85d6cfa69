from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.dist import utils as dist_utils
from mmengine.fileio import LocalBackend, dump
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import Registry
from mmengine.runner import checkpoint, save_checkpoint
from torch import nn

from mmxclip import compat

ROOT = Path(__file__).parents[1]


def run(code: str, *paths: Path, fails: bool = False) -> str:
    """What ``code`` prints in a fresh interpreter that also finds modules in ``paths``."""
    found = os.pathsep.join([*map(str, paths), str(ROOT)])
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': found, 'OMP_NUM_THREADS': '1'},
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


# ------------------------------------------------------------------ all together


def test_mending_twice_changes_nothing() -> None:
    def state() -> list[Any]:
        return [
            checkpoint.load_url,
            dict(checkpoint.CheckpointLoader._schemes),
            LocalBackend.put,
            dist_utils._init_dist_pytorch,
            MMDistributedDataParallel.__init__,
            sys.modules.get(compat.DRN),
            list(sys.meta_path),
        ]

    before = state()
    compat.mend()
    assert state() == before


BEFORE = {
    'after parts that work': 'import mmaction.apis, mmaction.datasets, mmengine.runner',
    'after failures': """
from mmaction.registry import MODELS
for fail in (lambda: MODELS.get('TSNHead'), lambda: __import__('mmaction.models')):
    try:
        fail()
    except ModuleNotFoundError as error:
        assert 'drn' in str(error)
""",
}
AFTER = """
import mmxclip
import mmaction.models
from mmaction.registry import MODELS
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import checkpoint
from mmxclip import compat
assert MODELS.get('TSNHead') is mmaction.models.TSNHead
assert compat._is_ours(checkpoint.CheckpointLoader._get_checkpoint_loader('a.pth'))
assert compat._is_ours(checkpoint.load_url)
assert compat._is_ours(MMDistributedDataParallel.__init__)
print('whole')
"""


@pytest.mark.parametrize('before', BEFORE.values(), ids=BEFORE.keys())
def test_any_order_of_imports(before: str) -> None:
    assert run(before + AFTER).strip() == 'whole'


ABSENT = """
import sys
sys.modules['mmaction'] = None
import mmxclip
"""


def test_absent_mmaction_is_named_with_the_way_out() -> None:
    last = run(ABSENT, fails=True).strip().splitlines()[-1]
    assert last.startswith('ImportError: mmaction2 is not installed; pip install "mmxclip[all]"')


def test_rest_of_an_uninstalled_mmaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder that pip leaves behind is imported as a namespace."""
    monkeypatch.setitem(sys.modules, 'mmaction', type(sys)('mmaction'))
    with pytest.raises(ImportError, match=r'mmaction2 is not installed; pip install'):
        compat._mmaction_folder()


def test_fault_inside_mmaction_is_not_covered_up(tmp_path: Path) -> None:
    (tmp_path / 'mmaction').mkdir()
    (tmp_path / 'mmaction' / '__init__.py').write_text('import something_else\n')
    assert "No module named 'something_else'" in run('import mmxclip', tmp_path, fails=True)


# --------------------------------------------------------------------- MMAction2


def test_missing_drn_says_what_it_is() -> None:
    import mmaction.models

    drn = sys.modules[f'{compat.DRN}.drn']
    if getattr(drn, '__file__', None):
        pytest.skip('this mmaction2 has DRN')
    with pytest.raises(ImportError, match='not part of the released mmaction2'):
        mmaction.models.DRN()


def test_drn_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / 'models' / 'localizers' / 'drn'
    folder.mkdir(parents=True)
    (folder / 'drn.py').touch()
    monkeypatch.setattr(compat, '_mmaction_folder', lambda: tmp_path)
    monkeypatch.delitem(sys.modules, compat.DRN, raising=False)
    compat.provide_drn()
    assert compat.DRN not in sys.modules


def transformers_at(folder: Path, **modules: str) -> Path:
    """Write a package ``transformers`` in a version that MMAction2 would use."""
    package = folder / 'transformers'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    for name, text in modules.items():
        path = package.joinpath(*name.split('__')).with_suffix('.py')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = folder / 'transformers-5.24.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: transformers\nVersion: 5.24.0\n')
    return folder


def all_names() -> dict[str, str]:
    """Modules of a transformers that has all that VindLU asks for."""
    modules: dict[str, str] = {}
    for source in (compat._mmaction_folder() / 'models/multimodal/vindlu').glob('*.py'):
        for module, names in compat._imports(source.read_text()):
            key = '__'.join(module.split('.')[1:])
            key = f'{key}____init__' if key == 'models__beit' else key
            modules[key] = modules.get(key, '') + ''.join(f'{name} = None\n' for name in names)
    return modules


def broken(modules: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.syspath_prepend(str(transformers_at(tmp_path, **modules)))
    monkeypatch.delitem(sys.modules, 'transformers', raising=False)
    return compat._vindlu_is_broken()


def test_transformers_with_all_names_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = all_names()
    assert 'apply_chunking_to_forward' in modules['modeling_utils']
    assert not broken(modules, tmp_path, monkeypatch)


@pytest.mark.parametrize('name', ['apply_chunking_to_forward', 'prune_linear_layer', 'BeitLayer'])
def test_transformers_without_a_name_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    modules = {
        key: text.replace(f'{name} = ', f'{name}_renamed = ') for key, text in all_names().items()
    }
    assert broken(modules, tmp_path, monkeypatch)


def test_transformers_without_a_module_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = all_names()
    del modules['modeling_outputs']
    assert broken(modules, tmp_path, monkeypatch)


AFTER_FAILURE = """
from mmaction.registry import MODELS
MODELS.register_module(name='VindLUVQA', module=dict)  # as an import that failed half-way does
import mmxclip, mmaction.models
from mmaction.utils import dependency
assert not dependency.WITH_MULTIMODAL
try:
    MODELS.get('VindLUVQA')()
except ImportError as error:
    print(error)  # names another of the three: upstream's closure keeps the last
"""


def test_mmaction_models_beside_a_recent_transformers(tmp_path: Path) -> None:
    folder = transformers_at(tmp_path, modeling_utils='class PreTrainedModel: ...\n')
    assert 'requires extra multi-modal' in run(AFTER_FAILURE, folder)


def test_locations_that_exist_are_kept() -> None:
    from mmaction import registry as host

    assert 'mmaction.mmengine' not in host.FUNCTION._locations
    assert 'mmxclip.engine' in host.FUNCTION._locations
    assert 'mmaction.models' in host.MODELS._locations
    assert 'mmaction.datasets.transforms' in host.TRANSFORMS._locations
    assert isinstance(host.FUNCTION, Registry)
    from mmengine.registry import FUNCTIONS

    with FUNCTIONS.switch_scope_and_registry('mmaction') as registry:
        assert registry.get('pseudo_collate') is not None


# ------------------------------------------------------------------ whole files


def test_checkpoint_is_written(tmp_path: Path) -> None:
    save_checkpoint(dict(a=1), str(tmp_path / 'new' / 'a.pth'))
    assert torch.load(tmp_path / 'new' / 'a.pth') == dict(a=1)
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.pth']


def test_name_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoint(dict(a=1), 'a.pth')
    assert torch.load('a.pth') == dict(a=1)


def no_space(*_: Any) -> None:
    raise OSError(errno.ENOSPC, 'No space left on device')


@pytest.mark.parametrize(('module', 'name'), [(torch, 'save'), (os, 'fsync'), (os, 'replace')])
def test_failed_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    path = tmp_path / 'a.pth'
    save_checkpoint(dict(a=1), str(path))
    before = path.read_bytes()
    monkeypatch.setattr(module, name, no_space)
    with pytest.raises(OSError, match='No space left'):
        save_checkpoint(dict(a=torch.zeros(1000)), str(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, resource, signal, sys
import mmxclip
from mmengine.fileio import LocalBackend
how, path = sys.argv[1:]
if how == 'kill':
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    LocalBackend().put(b'new' * (1 << 20), path)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize('how', ['kill', 'limit'])
def test_real_failure_leaves_the_old_file(tmp_path: Path, how: str) -> None:
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', KILLED, how, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert path.read_bytes() == b'old'
    left = [other.name for other in tmp_path.iterdir() if other != path]
    if how == 'kill':
        assert done.returncode == -9
        assert len(left) == 1
        assert left[0].startswith(compat.PARTIAL)
        assert left[0].endswith('_a.pth')
    else:
        assert (done.stdout.strip(), left) == ('File too large', [])


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / 'real').mkdir()
    real, link = tmp_path / 'real' / 'a.pth', tmp_path / 'latest.pth'
    real.write_bytes(b'old')
    link.symlink_to(real)
    LocalBackend().put(b'new', link)
    assert link.is_symlink()
    assert real.read_bytes() == b'new'


def test_device_is_written_to_as_it_is() -> None:
    LocalBackend().put(b'new', os.devnull)
    assert not Path(os.devnull).is_file()


def test_other_files_of_mmengine_are_whole_too(tmp_path: Path) -> None:
    dump(dict(a=1), tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').stat().st_size > 0


# --------------------------------------------------------------------- CPU ranks

JOIN = """
import os
os.environ.update(
    RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1', MASTER_PORT='{port}'
)
import mmxclip
import torch
from mmengine.dist import init_dist
from mmengine.model import MMDistributedDataParallel
set_device = torch.cuda.set_device
init_dist('pytorch', backend='gloo')
assert torch.cuda.set_device is set_device
wrapped = MMDistributedDataParallel(module=torch.nn.Linear(1, 1), device_ids=[0])
print(wrapped.device_ids)
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without CUDA')
def test_rank_on_a_cpu() -> None:
    assert run(JOIN.format(port=free_port())).strip() == 'None'


def launcher() -> Callable[..., None]:
    return compat._without_cuda_device(lambda device: torch.cuda.set_device(device))


@pytest.mark.parametrize(('cuda', 'devices'), [(True, [3]), (False, [])])
def test_device_is_set_where_there_is_cuda(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, devices: list[int]
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    monkeypatch.setattr(torch.cuda, 'set_device', seen.append)
    launcher()(3)
    assert seen == devices
    torch.cuda.set_device(4)
    assert seen == [*devices, 4]


def test_set_device_is_put_back_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    before = torch.cuda.set_device
    with pytest.raises(OSError, match='No space'):
        compat._without_cuda_device(no_space)()
    assert torch.cuda.set_device is before


@pytest.mark.parametrize(('device', 'expected'), [('cpu', None), ('meta', [1])])
def test_device_ids_go_only_for_models_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, device: str, expected: list[int] | None
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        nn.parallel.DistributedDataParallel, '__init__', lambda self, **kwargs: seen.update(kwargs)
    )
    MMDistributedDataParallel(nn.Linear(1, 1, device=device), device_ids=[1])
    assert seen['device_ids'] == expected


@pytest.mark.parametrize('soft', [False, True])
def test_stock_heads_take_bfloat16(soft: bool) -> None:
    import torch
    from mmaction.registry import MODELS
    from mmaction.structures import ActionDataSample

    head = MODELS.build(dict(type='TSNHead', num_classes=7, in_channels=4))
    scores = torch.randn(3, 7)
    labels = torch.eye(7)[:3] if soft else torch.tensor([1, 2, 3])
    samples = [ActionDataSample().set_gt_label(label) for label in labels]
    low = head.loss_by_feat(scores.bfloat16(), samples)
    expected = head.loss_by_feat(scores.bfloat16().float(), samples)
    assert low.keys() == expected.keys()
    for name in expected:
        assert torch.equal(low[name], expected[name])
        assert low[name].dtype == expected[name].dtype
