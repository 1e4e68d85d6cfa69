"""Names of configs, and what is said to wrong ones."""

from pathlib import Path

import pytest

from mmxclip.apis.config_names import find_config, metafile, shipped_configs
from mmxclip.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / 'configs'


def test_all_configs_by_name():
    assert set(shipped_configs()) == {path.stem for path in CONFIGS.glob('*.py')}
    assert all(path.is_file() for path in shipped_configs().values())
    assert metafile().is_file()


@pytest.mark.parametrize('name', ['xclip_b16_k400', 'xclip_b16_k400.py'])
def test_a_name(name):
    assert find_config(name).read_text() == (CONFIGS / 'xclip_b16_k400.py').read_text()


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'xclip_b16_k400.py').touch()
    assert find_config('xclip_b16_k400.py') == Path('xclip_b16_k400.py')


@pytest.mark.parametrize('name', ['xclip_b16_k40', '../configs/absent.py', 'a/xclip_b16_k400', ''])
def test_what_is_not_there(name):
    with pytest.raises(ConfigError, match='neither a file nor the name of a shipped config'):
        find_config(name)


def test_the_nearest_name_is_given():
    with pytest.raises(ConfigError, match='nearest names: xclip_b16_k400'):
        find_config('xclip_b16_k40')
