"""Every tool explains itself, at once and without starting."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
PYTHON_TOOLS = sorted(path.relative_to(TOOLS).as_posix() for path in TOOLS.rglob('*.py'))
SHELL_TOOLS = sorted(path.name for path in TOOLS.glob('*.sh'))


def test_tools_were_found():
    assert {'train.py', 'test.py'} <= set(PYTHON_TOOLS)
    assert len(SHELL_TOOLS) == 4


@pytest.mark.parametrize('name', PYTHON_TOOLS)
def test_help(run_tool, name):
    answer = run_tool(name, '-h')
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith('usage: ')
    # mim greps for this word and then passes --gpus or --device
    assert '--gpus' not in answer.stdout


@pytest.mark.parametrize('name', ['train.py', 'test.py'])
def test_help_imports_nothing_heavy(name):
    """``mim train`` asks for help before each run."""
    code = f"""
import runpy, sys
sys.argv = [{name!r}, '-h']
try:
    runpy.run_path({str(TOOLS / name)!r}, run_name='__main__')
except SystemExit as end:
    assert end.code == 0
assert not {{'torch', 'mmaction', 'mmxclip', 'cv2'}} & set(sys.modules)
"""
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)


@pytest.mark.parametrize('name', ['train.py', 'test.py'])
def test_options_of_both(run_tool, name):
    text = re.sub(r'\s+', ' ', run_tool(name, '-h').stdout)
    for option in ('--work-dir', '--cfg-options', '--launcher {none,pytorch,slurm,mpi}'):
        assert option in text


@pytest.mark.parametrize('name', SHELL_TOOLS)
def test_shell_tools_say_how_they_are_used(run_tool, name):
    answer = run_tool(name)
    assert answer.returncode == 2
    assert f'tools/{name} ' in answer.stderr
    assert 'CONFIG' in answer.stderr
