"""The documentation against the software: links, commands, configs, code and names."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import Registry

import mmxclip.registry
from mmxclip.datasets.motion.writing import write_video
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


def script(name: str) -> dict[str, Any]:
    """What a script in ``tools/docs`` defines."""
    return runpy.run_path(str(ROOT / 'tools' / 'docs' / name))


def python_blocks(page: str) -> list[str]:
    return [
        code for language, code in FENCE.findall((ROOT / page).read_text()) if language == 'python'
    ]


class TestArchitecture:
    """The picture that is committed is the one that the script draws."""

    def test_nothing_has_changed(self, tmp_path):
        out = tmp_path / 'architecture.svg'
        script('draw_architecture.py')['main'](['--out', str(out)])
        assert [path.name for path in tmp_path.iterdir()] == [out.name]
        drawn = out.read_text()
        committed = (ROOT / 'docs' / 'images' / 'architecture.svg').read_text()
        if f'matplotlib {matplotlib.__version__}<' not in committed:
            # outlines differ between versions; elements and colours do not
            drawn, committed = (
                sorted(re.findall(r'fill: #\w+|stroke: #\w+|id="[a-z]+_', text))
                for text in (drawn, committed)
            )
        assert drawn == committed

    def test_absent_folder(self, tmp_path, capsys):
        with pytest.raises(SystemExit):
            script('draw_architecture.py')['main'](['--out', str(tmp_path / 'none' / 'x.svg')])
        assert 'there is no folder' in capsys.readouterr().err


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory) -> Path:
    """What a run leaves behind: a checkpoint, of an untrained model, and its config."""
    folder = tmp_path_factory.mktemp('run')
    cfg = Config.fromfile(ROOT / 'configs' / 'xclip_tiny_motion.py')
    cfg.merge_from_dict({'test_dataloader.dataset.data_root': str(folder / 'data')})
    cfg.merge_from_dict({'test_dataloader.dataset.num_videos': 80, 'model.init_cfg': None})
    cfg.dump(folder / 'xclip_tiny_motion.py')
    model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'epoch_1.pth')
    return folder


class TestMotionStrip:
    """The strip of videos, drawn from random weights and few videos."""

    def test_picture(self, work_dir, capsys):
        out = work_dir / 'strip.png'
        args = [str(work_dir / 'epoch_1.pth'), '--videos', '3', '--out', str(out)]
        code = script('draw_motion_strip.py')['main'](args)
        answer = capsys.readouterr()
        assert code == 0, answer.err
        assert re.search(r'^[0-3] of 3 right; wrote ', answer.out, re.M)
        height, width = matplotlib.image.imread(out).shape[:2]
        assert width > 1000
        assert 400 < height < 500
        assert not list(work_dir.glob('.*'))

    def test_config_is_the_one_beside(self, work_dir, tmp_path):
        find_config = script('draw_motion_strip.py')['find_config']
        assert find_config(work_dir / 'epoch_1.pth').name == 'xclip_tiny_motion.py'
        with pytest.raises(ConfigError, match=r'found none; give --config'):
            find_config(tmp_path / 'epoch_1.pth')

    def test_absent_checkpoint_is_one_line(self, tmp_path, capsys):
        main = script('draw_motion_strip.py')['main']
        assert main([str(tmp_path / 'x.pth'), '--out', str(tmp_path / 'x.png')]) == 1
        assert re.fullmatch(r'mmxclip: error: .*does not exist.*\n', capsys.readouterr().err)

    @pytest.mark.parametrize(
        ('length', 'count', 'places'),
        [(10, 2, [2, 7]), (3, 8, [0, 1, 2]), (67, 4, [8, 25, 41, 58])],
    )
    def test_spread(self, length, count, places):
        assert script('draw_motion_strip.py')['spread'](length, count) == places


@pytest.fixture(scope='module')
def own_videos(tmp_path_factory) -> Path:
    """A folder with the videos and the list that the pages speak of."""
    folder = tmp_path_factory.mktemp('mine')
    rows = re.search(r'```\n(fencing/.*?)```', README.read_text(), re.DOTALL)[1]
    assert rows in (ROOT / 'docs' / 'getting_started.md').read_text()
    for row in rows.splitlines():
        video = folder / 'videos' / row.rsplit(' ', 1)[0]
        video.parent.mkdir(parents=True)
        frames = np.random.default_rng(0).integers(0, 255, (12, 96, 128, 3), dtype=np.uint8)
        write_video(video.with_suffix('.mp4'), frames, fps=8)
        video.with_suffix('.mp4').rename(video)
    for split in ('train', 'val'):
        (folder / f'{split}.txt').write_text(rows)
    return folder


def test_classifier_of_the_readme(own_videos):
    """As it stands, but for the model, which would be fetched, and the video."""
    code = python_blocks('README.md')[0].replace('xclip_b16_k400', 'xclip_tiny_motion')
    video = next(own_videos.rglob('*.mp4'))
    variables: dict[str, Any] = {}
    exec(code.replace("classifier('holiday.mp4'", f'answer = classifier({str(video)!r}'), variables)
    scores = {entry['label']: entry['score'] for entry in variables['answer']['predictions']}
    assert set(scores) == {'surfing', 'feeding goats', 'assembling a computer'}
    assert sum(scores.values()) == pytest.approx(1)


def test_dataset_of_the_readme(own_videos):
    _, code = python_blocks('README.md')
    variables: dict[str, Any] = {}
    exec(code, variables)
    dataset = DATASETS.build(variables['dataset'] | {'data_root': str(own_videos)})
    assert [dataset[i]['inputs'].shape for i in range(2)] == [(1, 3, 8, 224, 224)] * 2
    assert dataset.metainfo['classes'] == ('fencing', 'juggling balls')


def test_config_of_the_first_steps(own_videos, tmp_path):
    """The config for one's own videos builds as it stands, and its parts fit together."""
    code = python_blocks('docs/getting_started.md')[-1]
    (tmp_path / 'mine.py').write_text(code)
    cfg = Config.fromfile(tmp_path / 'mine.py')
    small = {'embed_dims': 64, 'num_layers': 1}
    cfg.merge_from_dict({f'model.backbone.{key}': value for key, value in small.items()})
    cfg.model.cls_head.patch_channels = 64
    model = MODELS.build(cfg.model)
    assert model.cls_head.text_encoder.output_dims == model.backbone.output_dims
    for loader, mode in ((cfg.train_dataloader, 'loss'), (cfg.val_dataloader, 'predict')):
        dataset = DATASETS.build(loader.dataset.to_dict() | {'data_root': str(own_videos)})
        batch = pseudo_collate([dataset[0], dataset[1]])
        with torch.no_grad():
            outcome = model(**model.data_preprocessor(batch, mode == 'loss'), mode=mode)
        assert len(outcome) == 2  # a loss and an accuracy; two samples
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    assert sorted({group['lr'] for group in groups}) == pytest.approx([8e-6, 8e-5])
