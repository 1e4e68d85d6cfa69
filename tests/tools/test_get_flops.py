"""The tool that counts, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / 'tools/analysis/get_flops.py', *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_row_a_config():
    configs = [ROOT / f'configs/{name}.py' for name in ('xclip_b32_k400', 'xclip_tiny_motion')]
    answer = run(*configs, '--format', 'json')
    assert answer.returncode == 0, answer.stderr
    first, second = json.loads(answer.stdout)
    assert first['config'] == 'xclip_b32_k400'
    assert first["authors' GFLOPs"] == 39
    assert first['as published code'] == pytest.approx(38.16, abs=0.006)
    assert second["authors' GFLOPs"] is None


def test_protocols_need_no_data():
    answer = run(ROOT / 'configs/xclip_b16_f32_k400_base2novel.py', '--format', 'markdown')
    assert answer.returncode == 0, answer.stderr
    row = answer.stdout.splitlines()[-1].split()  # columns of the page are wider
    page = (ROOT / 'docs/model_zoo.md').read_text(encoding='utf-8')
    assert row in [line.split() for line in page.splitlines()]
    assert row[7] == '200'


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['absent.py'], 1, "config 'absent.py' is no file"),
        ([], 2, 'CONFIG'),
        (['x.py', '--num-classes', '0'], 2, 'whole number from 1'),
    ],
)
def test_wrong_use(arguments, code, message):
    answer = run(*arguments)
    assert answer.returncode == code
    assert message in answer.stderr
    assert 'Traceback' not in answer.stderr
