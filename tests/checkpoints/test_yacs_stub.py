"""The authors' files, written by a package ``yacs`` of this test and read without it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import small_weights as small
import torch

from mmxclip.checkpoints import load
from mmxclip.checkpoints.safe_load import load_file
from mmxclip.errors import CheckpointError


class CfgNode(dict):
    """As yacs' class pickles: a dict with flags as attributes."""

    def __init__(self, content: dict) -> None:
        super().__init__({k: CfgNode(v) if isinstance(v, dict) else v for k, v in content.items()})
        self.__dict__['__immutable__'] = True
        self.__dict__['__deprecated_keys__'] = set()
        self.__dict__['__renamed_keys__'] = {}
        self.__dict__['__new_allowed__'] = False

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)


CfgNode.__module__ = 'yacs.config'
SETTINGS = {
    'DATA': {'NUM_FRAMES': 5, 'ROOT': 'videos', 'LABEL_LIST': 'labels/kinetics_400_labels.csv'},
    'MODEL': {'ARCH': 'ViT-B/32', 'DROP_PATH_RATE': 0.0, 'FIX_TEXT': True, 'RESUME': None},
    'BASE': [''],
}


class Harmful:
    """Pickles as a call of ``os.mkdir``."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


@pytest.fixture
def save(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Return a function that writes a file as the authors' trainer does."""

    def save(path: str = 'best.pth', **changes: Any) -> Path:
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=8e-6)
        model(torch.ones(2)).backward()
        optimizer.step()
        checkpoint = dict(
            model=small.weights('official'),
            optimizer=optimizer.state_dict(),
            lr_scheduler={'t_initial': 30, 'lr_min': 8e-8, 'base_values': [8e-6, 8e-5]},
            max_accuracy=80.4,
            epoch=29,
            config=CfgNode(SETTINGS),
        )
        with monkeypatch.context() as patch:
            package, module = ModuleType('yacs'), ModuleType('yacs.config')
            package.config, module.CfgNode = module, CfgNode
            patch.setitem(sys.modules, 'yacs', package)
            patch.setitem(sys.modules, 'yacs.config', module)
            torch.save({**checkpoint, **changes}, tmp_path / path)
        return tmp_path / path

    return save


def test_settings_are_plain_data(save):
    checkpoint = load_file(save())
    assert checkpoint['config'] == SETTINGS
    assert isinstance(checkpoint['config']['MODEL'], dict)
    assert type(checkpoint['config']).__module__ == 'collections'
    assert (checkpoint['epoch'], checkpoint['max_accuracy']) == (29, 80.4)
    assert checkpoint['optimizer']['state'][0]['step'] == 1


def test_yacs_is_absent_and_stays_so(save):
    load_file(save())
    assert 'yacs' not in sys.modules
    assert find_spec('yacs') is None


def test_weights_come_out(save):
    expected = small.own()
    weights = load(save())
    assert weights.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())


@pytest.mark.parametrize('place', ['entry', 'attribute', 'beside'])
def test_hostile_settings(save, tmp_path, place):
    trap = tmp_path / 'trap'
    config = CfgNode(SETTINGS)
    if place == 'entry':
        config['MODEL']['RESUME'] = Harmful(trap)
    elif place == 'attribute':
        config.__dict__['__immutable__'] = Harmful(trap)
    changes = {'lr_scheduler': Harmful(trap)} if place == 'beside' else {}
    file = save('hostile.pth', config=config, **changes)
    with pytest.raises(CheckpointError, match=r'asks for (posix|nt)\.mkdir, which could run code'):
        load(file)
    assert not trap.exists()


def test_the_trap_of_these_tests_works(tmp_path):
    """What is refused above would have made a folder."""
    torch.save(Harmful(tmp_path / 'trap'), tmp_path / 'file.pth')
    torch.load(tmp_path / 'file.pth', weights_only=False)
    assert (tmp_path / 'trap').is_dir()


def test_settings_with_arguments(save):
    """A file cannot pass arguments to what stands for the class."""

    class Called:
        def __reduce__(self) -> tuple:
            return CfgNode, ({'a': 1},)

    with pytest.raises(CheckpointError, match=r'hostile\.pth'):
        load(save('hostile.pth', config=Called()))
