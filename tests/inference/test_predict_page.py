"""The commands and the code of ``docs/predict.md``, run on small videos."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from video_files import write_video

from mmxclip.cli.main import main

PAGE = Path(__file__).parents[2] / 'docs' / 'predict.md'
FENCE = re.compile(r'^```(\w*)\n(.*?)^```', re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(PAGE.read_text(encoding='utf-8'))
COMMANDS = [
    line for _, text in BLOCKS for line in text.splitlines() if line.startswith('mmxclip predict')
]


@pytest.fixture
def place(classifier, tmp_path, monkeypatch):
    """A folder with what the page speaks of."""
    (tmp_path / 'clips').mkdir()
    for index in range(2):
        write_video(tmp_path / 'clips' / f'{index:05}.mp4', num_frames=10 + index)
    (tmp_path / 'actions.txt').write_text('a circle growing\na square moving up\n')
    torch.save({'state_dict': classifier.model.state_dict()}, tmp_path / 'epoch_10.pth')
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('command', [line for line in COMMANDS if '--checkpoint' in line])
def test_commands(place, capfd, command):
    assert main(shlex.split(command)[1:]) == 0
    out, err = capfd.readouterr()
    assert out.count('"video": "clips/') >= 1
    assert not err


def test_commands_were_found():
    assert len(COMMANDS) == 3


def test_code(place, capfd):
    variables = {}
    code = [text for language, text in BLOCKS if language == 'python']
    assert len(code) == 3
    for text in code:
        exec(text, variables)
    assert variables['best'].label in variables['labels']
    assert [set(row) for row in variables['rows']] == [{'video', 'predictions'}] * 2
    assert variables['similarity'].shape == (2, 3)
    assert 'absent.mp4 absent.mp4 does not exist' in capfd.readouterr().out
