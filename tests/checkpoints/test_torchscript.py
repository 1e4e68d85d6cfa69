from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile import ASKING, MARK, saved
from torch import nn

from mmxclip.checkpoints.safe_load import load_file, load_torchscript_state_dict
from mmxclip.errors import CheckpointError


class Towers(nn.Module):
    """Like CLIP: nested modules, half precision, numbers beside the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.attention = nn.MultiheadAttention(8, 2)
        self.scale = nn.Parameter(torch.ones([]).half())
        self.turned = nn.Parameter(torch.randn(3, 2).t())
        self.register_buffer('context_length', torch.tensor(77))
        self.none = nn.Parameter(torch.empty(0))
        self.names = ['a', 'b']
        self.sizes = {'x': 1}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.visual(x).sum() * self.scale * self.sizes['x'] + len(self.names)


def scripted(path: Path, kind: str = 'script') -> Path:
    model = Towers().eval()
    script = (
        torch.jit.script(model) if kind == 'script' else torch.jit.trace(model, torch.ones(2, 3))
    )
    torch.jit.save(script, str(path))
    return path


@pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::FutureWarning')
@pytest.mark.parametrize('kind', ['script', 'trace'])
@pytest.mark.parametrize('read', [load_torchscript_state_dict, load_file])
def test_torchscript_gives_its_state_dict(
    tmp_path: Path, kind: str, read: Callable[[Path], dict]
) -> None:
    path = scripted(tmp_path / 'clip.pt', kind)
    expected = torch.jit.load(str(path)).state_dict()
    ours = read(path)
    assert len(expected) == 15
    assert list(ours) == list(expected)
    for key, value in expected.items():
        torch.testing.assert_close(ours[key], value, rtol=0, atol=0)
        assert ours[key].stride() == value.stride()


class Writes(nn.Module):
    """Writes a file when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        self.weight = state[0]
        self.training = state[1]
        torch.save(state[0], 'ran.txt')


@pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::FutureWarning')
def test_torchscript_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.jit.save(torch.jit.script(Writes()), 'x.pt')
    assert not Path(MARK).exists()
    torch.jit.load('x.pt')
    assert Path(MARK).exists()  # this is what is kept from happening
    Path(MARK).unlink()
    with pytest.raises(CheckpointError, match=r'x\.pt'):
        load_torchscript_state_dict('x.pt')
    assert not Path(MARK).exists()


def torchscript_of(path: Path, pickled: Any) -> Path:
    """An archive that looks like TorchScript, with a pickle of ours."""
    import pickle

    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('x/constants.pkl', pickle.dumps(()))
        archive.writestr('x/data.pkl', pickle.dumps(pickled, protocol=2))
    return path


@pytest.mark.parametrize('name', ['os.system', 'eval', 'open', 'getattr globals', 'partial'])
def test_hostile_torchscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = torchscript_of(tmp_path / 'x.pt', ASKING[name][0])
    with pytest.raises(CheckpointError, match=r'asks for \S+, which could run code'):
        load_file(path)
    assert not Path(MARK).exists()


def test_tensor_beyond_its_storage(tmp_path: Path) -> None:
    path = scripted(tmp_path / 'a.pt')
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / 'b.pt', 'w') as copy:
        for entry in archive.infolist():
            data = archive.read(entry)
            copy.writestr(entry.filename, data[:-4] if entry.filename.endswith('data/0') else data)
    with pytest.raises(CheckpointError, match=r'storage 0 is not \d+ values of torch\.'):
        load_file(tmp_path / 'b.pt')


def test_no_torchscript(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='no TorchScript archive; read it with load_file'):
        load_torchscript_state_dict(saved(tmp_path / 'x.pth', {}))
    with pytest.raises(CheckpointError, match='does not exist'):
        load_torchscript_state_dict(tmp_path / 'no.pt')
