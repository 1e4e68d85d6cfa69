"""The documentation against the software: links, commands, configs, code and names."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import matplotlib.image
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import Registry

import mmxclip.registry
from mmxclip.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / 'README.md'
PAGES = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')])
INSTALL_AND_TRAIN = 'pip install -e ".[all]" && mim train mmxclip configs/xclip_tiny_motion.py'
INSTALL_AND_TEST = 'pip install -e ".[all,test]" && pytest'

FENCE = re.compile(r'^```(\w*)\n(.*?)^```', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)\)')
CONFIG = re.compile(r'configs/[\w/.-]+\.py\b')
TOOL = re.compile(r'tools/[\w/.-]+\.(?:py|sh)\b')

pages = pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(text: str) -> set[str]:
    """Anchors that GitHub makes of the headings of ``text``."""
    headings = re.findall(r'^#+ (.+)$', FENCE.sub('', text), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pages
def test_links_lead_somewhere(page):
    text = page.read_text(encoding='utf-8')
    for target in LINK.findall(FENCE.sub('', text)):
        if re.match(r'https?://|mailto:', target):
            continue
        path, _, anchor = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f'{page.name} links to {target}, which does not exist'
        assert file.is_relative_to(ROOT), f'{page.name} links to {target}, outside the repository'
        if anchor:
            assert anchor in anchors(file.read_text(encoding='utf-8')), f'{page.name}: {target}'


@pages
def test_python_blocks_parse(page):
    for language, code in FENCE.findall(page.read_text(encoding='utf-8')):
        if language == 'python':
            ast.parse(code)


@pages
def test_fences_are_closed(page):
    lines = page.read_text(encoding='utf-8').splitlines()
    assert sum(line.startswith('```') for line in lines) % 2 == 0


@pages
def test_files_named_in_text_exist(page):
    text = page.read_text(encoding='utf-8')
    for name in [*CONFIG.findall(text), *TOOL.findall(text)]:
        assert (ROOT / name).is_file(), f'{page.name} speaks of {name}, which does not exist'


def test_readme_opens_with_the_two_commands():
    lines = README.read_text(encoding='utf-8').splitlines()
    assert INSTALL_AND_TRAIN in lines[:40]
    assert INSTALL_AND_TEST in lines[:40]


def registered() -> dict[str, type]:
    """Every component that this package registers, by name."""
    components: dict[str, type] = {}
    for registry in vars(mmxclip.registry).values():
        if isinstance(registry, Registry) and registry.scope == 'mmxclip':
            registry.import_from_location()
            components |= registry.module_dict
    return components


def table() -> dict[str, str]:
    """Registered names in the README's table of parts, with the file that each row links to."""
    rows = re.findall(r'^\| `(\w+)` \| .* \| \[[\w.]+\]\(([\w/.]+)\) \|$', README.read_text(), re.M)
    return dict(rows)


def test_table_of_parts_is_the_registry():
    assert sorted(table()) == sorted(registered())


def test_table_of_parts_links_to_the_files():
    for name, component in registered().items():
        file = component.__module__.replace('.', '/') + '.py'
        assert table()[name] == file, name


@pytest.mark.parametrize(
    'image', sorted((ROOT / 'docs' / 'images').iterdir()), ids=lambda p: p.name
)
def test_every_image_is_shown(image):
    shown = ''.join(page.read_text(encoding='utf-8') for page in PAGES)
    assert f'images/{image.name})' in shown


class TestArchitecture:
    """The picture that is committed is the one that the script draws."""

    committed = ROOT / 'docs' / 'images' / 'architecture.svg'

    @pytest.fixture(scope='class')
    def script(self):
        return runpy.run_path(str(ROOT / 'tools' / 'docs' / 'draw_architecture.py'))

    @pytest.fixture(scope='class')
    def drawn(self, script, tmp_path_factory) -> str:
        out = tmp_path_factory.mktemp('images') / 'architecture.svg'
        script['main'](['--out', str(out)])
        assert [path.name for path in out.parent.iterdir()] == [out.name]
        return out.read_text()

    def test_nothing_has_changed(self, drawn):
        committed = self.committed.read_text()
        if f'matplotlib {matplotlib.__version__}<' not in committed:
            # outlines differ between versions; elements and colours do not
            drawn, committed = (
                sorted(re.findall(r'fill: #\w+|stroke: #\w+|id="[a-z]+_', text))
                for text in (drawn, committed)
            )
        assert drawn == committed

    def test_absent_folder(self, script, tmp_path, capsys):
        with pytest.raises(SystemExit):
            script['main'](['--out', str(tmp_path / 'none' / 'x.svg')])
        assert 'there is no folder' in capsys.readouterr().err


class TestMotionStrip:
    """The strip of videos, drawn from random weights and few videos."""

    @pytest.fixture(scope='class')
    def script(self):
        return runpy.run_path(str(ROOT / 'tools' / 'docs' / 'draw_motion_strip.py'))

    @pytest.fixture(scope='class')
    def run(self, tmp_path_factory) -> Path:
        """A work dir with a checkpoint of an untrained model and its config."""
        folder = tmp_path_factory.mktemp('run')
        cfg = Config.fromfile(ROOT / 'configs' / 'xclip_tiny_motion.py')
        cfg.merge_from_dict({'test_dataloader.dataset.data_root': str(folder / 'data')})
        cfg.merge_from_dict({'test_dataloader.dataset.num_videos': 80, 'model.init_cfg': None})
        cfg.dump(folder / 'xclip_tiny_motion.py')
        model = MODELS.build(cfg.model)
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'epoch_1.pth')
        return folder

    def test_picture(self, script, run, capsys):
        out = run / 'strip.png'
        code = script['main']([str(run / 'epoch_1.pth'), '--videos', '3', '--out', str(out)])
        answer = capsys.readouterr()
        assert code == 0, answer.err
        assert re.search(r'^[0-3] of 3 right; wrote ', answer.out, re.M)
        height, width = matplotlib.image.imread(out).shape[:2]
        assert width > 1000
        assert 400 < height < 500
        assert not list(run.glob('.*'))

    def test_config_is_the_one_beside(self, script, run, tmp_path):
        assert script['find_config'](run / 'epoch_1.pth').name == 'xclip_tiny_motion.py'
        with pytest.raises(ConfigError, match=r'found none; give --config'):
            script['find_config'](tmp_path / 'epoch_1.pth')

    def test_absent_checkpoint_is_one_line(self, script, tmp_path, capsys):
        assert script['main']([str(tmp_path / 'x.pth'), '--out', str(tmp_path / 'x.png')]) == 1
        assert capsys.readouterr().err.count('\n') == 1

    @pytest.mark.parametrize(
        ('length', 'count', 'places'),
        [(10, 2, [2, 7]), (3, 8, [0, 1, 2]), (67, 4, [8, 25, 41, 58])],
    )
    def test_spread(self, script, length, count, places):
        assert script['spread'](length, count) == places
