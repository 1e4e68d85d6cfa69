"""MMEngine's own ways to a checkpoint, all of them guarded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import small_weights as small
import torch
from hostile import ASKING, MARK, saved
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint, load_checkpoint
from torch import nn

from mmxclip.checkpoints import infer_architecture, loaders
from mmxclip.errors import CheckpointError

HOSTILE = ASKING['open'][0]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Path, list[str]]]:
    """Address, folder and log of a web server; downloads go to ``hub``."""
    (tmp_path / 'served').mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.chdir(tmp_path)
    handler = partial(QuietHandler, directory=str(tmp_path / 'served'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as http:
        http.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{http.server_port}', tmp_path / 'served', http.asked  # type: ignore[attr-defined]
        http.shutdown()


def test_local_file(tmp_path: Path) -> None:
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    path = saved(tmp_path / 'a.pth', dict(state_dict=model.state_dict()))
    load_checkpoint(other, str(path))
    assert torch.equal(other.weight, model.weight)


def test_hostile_local_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(Path('x.pth'), dict(state_dict={}, extra=HOSTILE))
    with pytest.raises(CheckpointError, match=r'checkpoint x\.pth asks for'):
        _load_checkpoint('x.pth')
    assert not Path(MARK).exists()


def test_pretrained_of_stock_modules(tmp_path: Path) -> None:
    class Layer(BaseModule):
        def __init__(self, path: Path) -> None:
            super().__init__(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
            self.scale = nn.Parameter(torch.zeros(2))

    good = Layer(saved(tmp_path / 'a.pth', dict(scale=torch.ones(2))))
    good.init_weights()
    assert good.scale.tolist() == [1, 1]
    with pytest.raises(CheckpointError, match=r'no\.pth does not exist'):
        Layer(tmp_path / 'no.pth').init_weights()


def test_log_names_the_way() -> None:
    """MMEngine cuts the first ten letters off the name of a loader."""
    for prefix, name in {'': 'local', r'(\S+\:)?s3://': 'ceph'}.items():
        assert CheckpointLoader._schemes[prefix].__name__[10:] == name


def test_download_once(server: tuple[str, Path, list[str]]) -> None:
    address, folder, asked = server
    saved(folder / 'a b.pth', dict(a=torch.ones(2)))
    for _ in range(2):
        assert _load_checkpoint(f'{address}/a%20b.pth?x=1')['a'].tolist() == [1, 1]
    assert len(asked) == 1
    assert [path.name for path in Path('hub').rglob('*.*')] == ['a b.pth']


def test_file_of_the_authors_by_its_address(server: tuple[str, Path, list[str]]) -> None:
    """As ``load_from`` takes it from the list of published weights."""
    address, folder, asked = server
    saved(folder / 'k400.pth', dict(model=small.weights('official'), max_accuracy=80.4, epoch=29))
    heads = dict(backbone=3, neck=5, prompt=4, text_encoder=2)
    model = MODELS.build(dict(type='XCLIP') | infer_architecture(small.own(), heads))
    load_checkpoint(model, f'{address}/k400.pth', map_location='cpu', strict=True)
    state = model.state_dict()
    assert all(torch.equal(state[name], value.float()) for name, value in small.own().items())
    assert asked == ['/k400.pth']


def test_hostile_download(server: tuple[str, Path, list[str]]) -> None:
    address, folder, _ = server
    saved(folder / 'x.pth', dict(extra=HOSTILE))
    with pytest.raises(CheckpointError, match=r'x\.pth asks for'):
        _load_checkpoint(f'{address}/x.pth')
    assert not Path(MARK).exists()


@pytest.mark.parametrize('scheme', ['torchvision', 'openmmlab', 'mmcls'])
def test_named_models_are_guarded(
    server: tuple[str, Path, list[str]], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    from mmengine.runner import checkpoint

    address, folder, _ = server
    saved(folder / 'x.pth', dict(extra=HOSTILE))
    table = {'torchvision': 'torchvision', 'openmmlab': 'external', 'mmcls': 'mmcls'}[scheme]
    monkeypatch.setattr(checkpoint, f'get_{table}_models', lambda: {'x': f'{address}/x.pth'})
    with pytest.raises(CheckpointError, match=r'x\.pth asks for'):
        _load_checkpoint(f'{scheme}://x')
    assert not Path(MARK).exists()


def test_absent_download(server: tuple[str, Path, list[str]]) -> None:
    address, *_ = server
    with pytest.raises(CheckpointError, match=r'could not be downloaded .*404.*give the path'):
        _load_checkpoint(f'{address}/no.pth')
    assert list(Path('hub').rglob('*.*')) == []


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('no_proxy', '*')
    with pytest.raises(CheckpointError, match='could not be downloaded to'):
        loaders.load_url('http://127.0.0.1:1/a.pth', model_dir=str(tmp_path))


@pytest.mark.parametrize('rest', ['127.0.0.1:1', 'x/', 'x/..', 'x/a/%2e%2e', '[/a.pth'])
def test_url_without_a_file(tmp_path: Path, rest: str) -> None:
    with pytest.raises(CheckpointError, match='names no file; give the whole address'):
        loaders.load_url(f'http://{rest}', model_dir=str(tmp_path))


@pytest.mark.parametrize('path', ['/a/..%2Fb.pth', '/%2Fetc%2Fb.pth'])
def test_url_stays_within_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    targets: list[Path] = []
    monkeypatch.setattr(loaders, '_download', lambda url, target, *_: targets.append(target))
    with pytest.raises(CheckpointError, match='does not exist'):
        loaders.load_url(f'http://host{path}', model_dir=str(tmp_path))
    assert targets == [tmp_path / 'b.pth']


def test_wrong_hash(server: tuple[str, Path, list[str]]) -> None:
    address, folder, _ = server
    saved(folder / 'a-00000000.pth', dict(a=1))
    with pytest.raises(CheckpointError, match='invalid hash value'):
        loaders.load_url(f'{address}/a-00000000.pth', check_hash=True, progress=False)


@pytest.mark.parametrize('scheme', ['s3://', 'petrel://', 'cluster:s3://'])
def test_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    class Store:
        def get(self, name: str) -> bytes:
            return (tmp_path / name.rsplit('/', 1)[1]).read_bytes()

    monkeypatch.setattr(loaders, 'get_file_backend', lambda *_, **__: Store())
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / 'a.pth', dict(a=torch.ones(2)))
    saved(tmp_path / 'x.pth', dict(extra=HOSTILE))
    assert _load_checkpoint(f'{scheme}bucket/a.pth')['a'].tolist() == [1, 1]
    with pytest.raises(CheckpointError, match=f'checkpoint {scheme}bucket/x.pth asks for'):
        _load_checkpoint(f'{scheme}bucket/x.pth')
    assert not Path(MARK).exists()


def test_text_that_resuming_would_run_is_dropped(tmp_path):
    path = tmp_path / 'old.pth'
    torch.save({'meta': {'config': 'import os', 'epoch': 3}, 'state_dict': {}}, path)
    loaded = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    assert loaded['meta'] == {'epoch': 3}
