"""One line for what a user can mend, a traceback for everything else."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.registry import Registry
from torch.utils.data import DataLoader, Dataset

from mmxclip.apis import reporting
from mmxclip.errors import ConfigError, DataError

PARTS = Registry('parts')


@PARTS.register_module()
class Part:
    """Takes one argument, and fails inside its own code when that is 'bug'."""

    def __init__(self, size: int = 1) -> None:
        if size == 'bug':
            raise TypeError('a fault in the code of Part')


class BrokenVideos(Dataset):
    """A data set whose third item cannot be read."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 2:
            raise DataError('video clips/2.mp4 breaks off after 3 of 8 frames; remove it: see docs')
        return torch.zeros(1)


def failing(error: BaseException):
    """Return a function that raises ``error``."""

    def main() -> None:
        raise error

    return main


def test_success_is_silent(capsys):
    assert reporting.run(lambda: None) == 0
    assert capsys.readouterr() == ('', '')


def test_user_error_is_one_line(capsys):
    assert reporting.run(failing(ConfigError('lr is -1, expected > 0'))) == 1
    assert capsys.readouterr() == ('', 'mmxclip: error: lr is -1, expected > 0\n')


def test_message_of_several_lines_becomes_one(capsys):
    reporting.run(failing(ConfigError('lr is -1,\n  expected > 0\n')))
    assert capsys.readouterr().err == 'mmxclip: error: lr is -1, expected > 0\n'


def test_user_error_beneath_another_error_is_found(capsys):
    outer = RuntimeError('loading failed')
    outer.__cause__ = DataError('row 3 of train.csv has no label; add one')
    assert reporting.run(failing(outer)) == 1
    assert capsys.readouterr().err == 'mmxclip: error: row 3 of train.csv has no label; add one\n'


@pytest.mark.parametrize('workers', [0, 2])
def test_error_of_a_loader_worker_is_one_line(capsys, workers):
    assert reporting.run(lambda: list(DataLoader(BrokenVideos(), num_workers=workers))) == 1
    expected = 'video clips/2.mp4 breaks off after 3 of 8 frames; remove it: see docs'
    assert capsys.readouterr().err == f'mmxclip: error: {expected}\n'


def test_other_ranks_give_their_number(capsys, monkeypatch):
    monkeypatch.setenv('RANK', '3')
    reporting.run(failing(ConfigError('lr is -1')))
    assert capsys.readouterr().err == 'mmxclip (rank 3): error: lr is -1\n'


def test_missing_file_is_one_line_that_names_it(capsys):
    assert reporting.run(Path('/nonexistent/train.csv').read_text) == 1
    pattern = r"mmxclip: error: .*'/nonexistent/train.csv' \(MMXCLIP_TRACEBACK=1 shows where\)\n"
    assert re.fullmatch(pattern, capsys.readouterr().err)


@pytest.mark.parametrize(
    ('part', 'complaint'),
    [
        ({'type': 'Parrt'}, 'Parrt is not in the'),
        ({'type': 'Part', 'sizze': 2}, r"Part.__init__\(\) got an unexpected keyword .*'sizze'"),
    ],
)
def test_config_that_names_what_does_not_exist_is_one_line(capsys, part, complaint):
    assert reporting.run(lambda: PARTS.build(part)) == 1
    line = capsys.readouterr().err
    assert line.count('\n') == 1
    assert re.match(f'mmxclip: error: the config cannot be built: {complaint}', line)


def test_fault_of_the_software_keeps_its_traceback():
    with pytest.raises(TypeError, match='a fault in the code of Part'):
        reporting.run(lambda: PARTS.build({'type': 'Part', 'size': 'bug'}))


def test_traceback_on_demand(monkeypatch):
    monkeypatch.setenv('MMXCLIP_TRACEBACK', '1')
    with pytest.raises(ConfigError, match='lr is -1'):
        reporting.run(failing(ConfigError('lr is -1')))


def test_interruption_has_the_exit_code_of_shells(capsys):
    assert reporting.run(failing(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == 'mmxclip: interrupted\n'


def test_exit_passes():
    with pytest.raises(SystemExit, match='2'):
        reporting.run(failing(SystemExit(2)))
