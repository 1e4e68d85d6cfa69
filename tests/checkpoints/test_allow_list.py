from __future__ import annotations

import builtins
import os
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import ASKING, MARK, Call, OwnText, saved, walk
from mmengine.logging import HistoryBuffer
from numpy._core.multiarray import _reconstruct, scalar

from mmxclip.checkpoints.allow_list import allowed, lookup, stand_ins
from mmxclip.checkpoints.safe_load import load_file
from mmxclip.errors import CheckpointError


@pytest.fixture
def runner_file(tmp_path: Path) -> Path:
    """What in a Runner's checkpoint needs the list."""
    log = HistoryBuffer([0.5, 0.25], [1, 1])
    return saved(tmp_path / 'hub.pth', dict(message_hub=dict(log=log, eta=np.float64(2))))


@pytest.mark.parametrize(('content', 'told'), ASKING.values(), ids=ASKING.keys())
@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'legacy'])
def test_hostile_file_is_refused_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, told: str, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'hostile.pth'
    torch.save(
        dict(state_dict={'a': torch.ones(1)}, extra=content),
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(CheckpointError, match=told) as caught:
        load_file(path)
    assert str(caught.value).startswith(f'checkpoint {path} ')
    assert '\n' not in str(caught.value)
    assert not (tmp_path / MARK).exists()


def test_the_hostile_files_would_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without protection they do what they say, so that the test above can fail."""
    monkeypatch.chdir(tmp_path)
    for name in ('os.system', 'subprocess', 'eval', 'exec', 'open', 'object array'):
        torch.load(saved(tmp_path / 'x.pth', ASKING[name][0]), weights_only=False)
        assert Path(MARK).exists(), name
        Path(MARK).unlink()


def test_buffer_replaces_no_method_of_the_process(tmp_path: Path) -> None:
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])  # the first one registers the methods
    before = dict(HistoryBuffer._statistics_methods)
    hostile = HistoryBuffer([1.0, 2.0], [1, 1])
    hostile._statistics_methods = {'mean': OrderedDict, 'new': OrderedDict}  # of the instance
    ours = load_file(saved(tmp_path / 'b.pth', dict(buffer=hostile)))['buffer']
    assert HistoryBuffer._statistics_methods == before
    assert ours.statistics('mean') == buffer.statistics('mean') == 1.5
    assert set(vars(ours)) == {'max_length', '_log_history', '_count_history'}


def test_methods_handed_out_are_those_of_the_class(tmp_path: Path) -> None:
    names = ('min', 'max', 'current', 'mean')
    ours = load_file(saved(tmp_path / 'm.pth', {name: walk(name) for name in names}))
    assert ours == {name: getattr(HistoryBuffer, name) for name in names}


def test_lookup_takes_exact_text_only() -> None:
    owner = stand_ins()['mmengine.logging.history_buffer.HistoryBuffer']
    assert lookup(owner, 'min') is HistoryBuffer.min
    with pytest.raises(Exception, match='OwnText'):
        lookup(owner, OwnText('min'))


def test_getattr_itself_is_not_on_the_list() -> None:
    values = list(stand_ins().values())
    for function in (getattr, _reconstruct, scalar, np.dtype, np.ndarray, HistoryBuffer, bytes):
        assert all(value is not function for value in values)


def test_own_statistic_of_this_process_is_known(tmp_path: Path) -> None:
    def spread(self: HistoryBuffer) -> float:
        return float(np.ptp(self._log_history))

    spread.__qualname__ = spread.__name__ = 'spread_for_test'
    globals()['spread_for_test'] = spread
    HistoryBuffer.register_statistics(spread)
    try:
        path = saved(tmp_path / 'b.pth', dict(buffer=HistoryBuffer([1.0, 4.0], [1, 1])))
        assert load_file(path)['buffer'].statistics('spread_for_test') == 3
        called = saved(tmp_path / 'c.pth', dict(a=Call(spread, 1)))
        with pytest.raises(CheckpointError, match='Name'):
            load_file(called)
    finally:
        del HistoryBuffer._statistics_methods['spread_for_test'], globals()['spread_for_test']
    with pytest.raises(CheckpointError, match=r'asks for \S*spread_for_test'):
        load_file(path)


def test_every_builtin_function_is_refused(tmp_path: Path) -> None:
    """Whatever else a later Python brings into ``builtins``."""
    harmless = {'set', 'bytearray', 'complex', 'bytes'}  # torch's own, and ours
    tried = 0
    for name, function in vars(builtins).items():
        is_error = isinstance(function, type) and issubclass(function, BaseException)
        if name.startswith('_') or not callable(function) or name in harmless or is_error:
            continue
        if getattr(function, '__name__', None) != name or function.__module__ != 'builtins':
            continue
        path = saved(tmp_path / 'x.pth', dict(a=Call(function, 'x')))
        with pytest.raises(CheckpointError, match=re.escape(name)):
            load_file(path)
        tried += 1
    assert tried > 40


def test_list_does_not_leak(tmp_path: Path, runner_file: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    load_file(runner_file)
    with pytest.raises(CheckpointError):
        load_file(saved(tmp_path / 'x.pth', dict(a=Call(os.system, 'true'))))
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(Exception, match='Weights only load failed'):
        torch.load(runner_file, weights_only=True)


def test_list_of_the_program_is_kept_but_opens_no_name_of_ours(tmp_path: Path) -> None:
    class_path = saved(tmp_path / 'own.pth', dict(a=Call(OwnText, 'x')))
    walk_path = saved(tmp_path / 'walk.pth', dict(a=walk('min', '__globals__')))
    with torch.serialization.safe_globals([OwnText, (getattr, 'builtins.getattr'), np.dtype]):
        before = set(torch.serialization.get_safe_globals())
        assert load_file(class_path)['a'] == 'x'
        with pytest.raises(CheckpointError, match='getattr'):
            load_file(walk_path)
        assert set(torch.serialization.get_safe_globals()) == before


def test_threads_do_not_mix_their_lists(runner_file: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    failures: list[Exception] = []

    def load_often() -> None:
        try:
            for _ in range(10):
                load_file(runner_file)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=load_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert set(torch.serialization.get_safe_globals()) == before


def test_list_is_closed_when_the_block_fails() -> None:
    before = set(torch.serialization.get_safe_globals())
    with pytest.raises(KeyboardInterrupt), allowed():
        raise KeyboardInterrupt
    assert set(torch.serialization.get_safe_globals()) == before


def test_environment_cannot_switch_the_protection_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises(CheckpointError, match='asks for eval'):
        load_file(saved(tmp_path / 'x.pth', dict(a=Call(eval, '1'))))
