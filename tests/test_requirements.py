"""Without a fitting MMCV, one sentence says how to get it."""

import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = Path(__file__).resolve().parents[1] / 'tools' / 'train.py'
ABSENT = 'raise ModuleNotFoundError("No module named \'mmcv\'", name="mmcv")'
BROKEN = 'raise ModuleNotFoundError("No module named \'cv2\'", name="cv2")'


def in_environment(tmp_path: Path, mmcv: str, code: str) -> subprocess.CompletedProcess:
    """Run Python with a module ``mmcv`` that consists of the line given."""
    (tmp_path / 'mmcv.py').write_text(mmcv)
    return subprocess.run(
        [sys.executable, '-c', f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n' + code],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ('mmcv', 'complaint'),
    [
        (ABSENT, 'ImportError: mmcv is not installed; pip install "mmxclip[all]" brings mmcv-lite'),
        ("__version__ = '2.2.0'", 'ImportError: mmcv 2.2.0 is installed, which MMAction2 refuses;'),
        ("__version__ = '1.7.2'", 'ImportError: mmcv 1.7.2 is installed, which MMAction2 refuses;'),
        (BROKEN, "ModuleNotFoundError: No module named 'cv2'"),
    ],
)
def test_import(tmp_path, mmcv, complaint):
    done = in_environment(tmp_path, mmcv, 'import mmxclip')
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(complaint)


def test_tool_ends_in_one_line(tmp_path):
    code = f"""
import runpy
sys.argv = ['train.py', 'run.py']
runpy.run_path({str(TRAIN)!r}, run_name='__main__')
"""
    done = in_environment(tmp_path, ABSENT, code)
    assert done.returncode == 1
    assert done.stderr.startswith('mmxclip: error: mmcv is not installed; pip install ')
    assert done.stderr.count('\n') == 1
