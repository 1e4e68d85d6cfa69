"""Checks of a config: model, weights, data and what a run takes."""

import shutil
import sys
import tarfile
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config

from mmxclip.apis.config_names import shipped_configs
from mmxclip.doctor import examine, resources
from mmxclip.doctor.data import missing_files
from mmxclip.doctor.examine import refuse_certain_failure
from mmxclip.doctor.model import build, check_checkpoint, check_model, check_weights
from mmxclip.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parents[1] / 'configs'))
from miniature_data import lay_out

PUBLISHED = sorted(name for name in shipped_configs() if name.startswith(('xclip_b', 'xclip_l')))
Usage = namedtuple('Usage', 'total used free')


def load(name):
    return Config.fromfile(shipped_configs()[name])


def levels(findings, check):
    return [finding.level for finding in findings if finding.check == check]


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny():
    """The tiny model's config and the model."""
    cfg = load('xclip_tiny_motion')
    return cfg, build(cfg)


def lay_out_one_video(folder, row):
    """``real/x.mp4``, the same in an archive, and a list of one row."""
    (folder / 'real').mkdir()
    (folder / 'real/x.mp4').write_bytes(b'video')
    with tarfile.open(folder / 'videos.tar', 'w') as archive:
        archive.add(folder / 'real/x.mp4', 'inner/x.mp4')
    (folder / 'list.txt').write_text(row.format(folder=folder) + '\n')


def one_video(prefix):
    """A config of that list."""
    dataset = dict(
        type='LabelledVideoDataset',
        ann_file='list.txt',
        data_prefix=dict(video=prefix),
        num_classes=1,
    )
    return Config(dict(train_dataloader=dict(dataset=dataset)))


@pytest.mark.parametrize('name', PUBLISHED)
def test_without_data(empty_folder, name):
    """Everything that is missing is named with the way to it, and nothing else fails."""
    cfg = load(name)
    findings = list(missing_files(cfg))
    assert findings
    for finding in findings:
        assert finding.level == 'problem'
        assert finding.remedy.startswith('python tools/data/prepare.py ')
        assert finding.remedy.split()[2] in finding.message


@pytest.mark.parametrize('name', ['xclip_b16_k400', 'xclip_b16_f32_k600_zeroshot'])
def test_whole_examination_without_data(empty_folder, name):
    findings = list(examine(name))
    splits = ('train', 'val', 'test') if name.endswith('k400') else ('test',)
    assert all('problem' in levels(findings, f'{split} data') for split in splits)
    assert all(finding.remedy for finding in findings if finding.level != 'ok')


def test_whole_examination_with_data(empty_folder):
    name = 'xclip_b16_f32_hmdb51_2shot'
    lay_out(load(name), empty_folder)
    findings = list(examine(name))
    assert 'problem' not in {finding.level for finding in findings}
    assert levels(findings, 'train data') == ['ok', 'ok']
    assert '3 videos tried can be decoded' in [f.message for f in findings][-8:].__str__()


def test_a_broken_video(empty_folder):
    name = 'xclip_b16_f32_hmdb51_2shot'
    lay_out(load(name), empty_folder)
    for path in (empty_folder / 'data/hmdb51/videos').rglob('0.mp4'):
        path.unlink()
        path.write_text('no video')
    findings = list(examine(name))
    warned = [f for f in findings if f.check == 'val data' and f.level == 'warning']
    assert warned[0].message.startswith('1 of 3 videos tried cannot be decoded; the first: ')


def test_labels_of_the_other_order(empty_folder):
    """Rows whose folders and labels do not agree are a problem before a run."""
    name = 'xclip_b16_f32_hmdb51_2shot'
    cfg = load(name)
    lay_out(cfg, empty_folder)
    folder = empty_folder / 'data/hmdb51'
    (folder / 'videos/kick').mkdir()
    shutil.copy(next((folder / 'videos').rglob('0.mp4')), folder / 'videos/kick/9.mp4')
    with (folder / cfg.val_dataloader.dataset.ann_file).open('a') as file:
        file.write('kick/9.mp4 21\n')
    findings = list(examine(name, quick=True))
    (problem,) = [f for f in findings if f.check == 'val data']
    assert problem.level == 'problem'
    assert "label_order='xclip'" in problem.message or 'kick' in problem.message


@pytest.mark.parametrize('name', ['absent', 'xclip_b16_k40'])
def test_no_such_config(name):
    *_, last = examine(name)
    assert (last.check, last.level) == ('config', 'problem')


def test_a_config_that_names_an_unknown_part(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("model = dict(type='NoSuchModel')")
    findings = list(examine(str(path)))
    (model,) = [finding for finding in findings if finding.check == 'model']
    assert model.level == 'problem'
    assert 'NoSuchModel' in model.message


def test_a_config_without_a_model(tmp_path):
    (tmp_path / 'mine.py').write_text('a = 1')
    *_, last = examine(str(tmp_path / 'mine.py'))
    assert last.message.endswith('has no model')


def test_model():
    finding, model = check_model(load('xclip_l14_336_f16_k400'))
    assert finding.message == 'XCLIP, 576.0 M parameters, 400 class names'
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize(
    ('init_cfg', 'level', 'message'),
    [
        (dict(pretrained='mmxclip::tiny_clip_motion.safetensors'), 'ok', 'part of the package'),
        (dict(pretrained='here.pt'), 'ok', 'is there'),
        (dict(pretrained='absent.pt'), 'problem', 'absent.pt does not exist'),
        (dict(pretrained='openai', model='ViT-B-32-quickgelu', cache_dir='c'), 'warning', 'downl'),
    ],
)
def test_weights(empty_folder, init_cfg, level, message):
    (empty_folder / 'here.pt').touch()
    cfg = Config(dict(model=dict(init_cfg=dict(type='OpenCLIPPretrained', **init_cfg))))
    (finding,) = check_weights(cfg)
    assert finding.level == level
    assert message in finding.message


def test_weights_that_were_downloaded_before(empty_folder):
    from open_clip import pretrained

    url = pretrained.get_pretrained_cfg('ViT-B-32-quickgelu', 'openai').get('url')
    if not url:
        pytest.skip('this open_clip has no address for these weights')
    (empty_folder / Path(url).name).touch()
    init_cfg = dict(
        type='mmxclip.OpenCLIPPretrained',
        model='ViT-B-32-quickgelu',
        pretrained='openai',
        cache_dir=str(empty_folder),
    )
    (finding,) = check_weights(Config(dict(model=dict(backbone=dict(init_cfg=[init_cfg])))))
    assert finding.level == 'ok'


@pytest.mark.parametrize(('path', 'level'), [('here.pth', 'ok'), ('absent.pth', 'problem')])
def test_load_from(empty_folder, path, level):
    (empty_folder / 'here.pth').touch()
    (finding,) = check_weights(Config(dict(model=dict(), load_from=path)))
    assert finding.level == level


def test_addresses_are_left_alone():
    assert list(check_weights(Config(dict(model=dict(), load_from='https://a.b/c.pth')))) == []


def test_checkpoint(tiny, tmp_path):
    from mmaction.registry import MODELS

    cfg, model = tiny
    real = MODELS.build(cfg.model)
    torch.save(dict(state_dict=real.state_dict()), tmp_path / 'whole.pth')
    assert check_checkpoint(str(tmp_path / 'whole.pth'), model).level == 'ok'


def test_checkpoint_of_another_size(tiny, tmp_path):
    from mmaction.registry import MODELS

    cfg, model = tiny
    cfg.model.backbone.patch_size = 32
    torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'other.pth')
    finding = check_checkpoint(str(tmp_path / 'other.pth'), model)
    assert finding.level == 'problem'
    assert 'another shape' in finding.message


def test_checkpoint_that_is_none(tiny, tmp_path):
    (tmp_path / 'x.pth').write_text('nothing')
    assert check_checkpoint(str(tmp_path / 'x.pth'), tiny[1]).level == 'problem'


@pytest.mark.parametrize(('share', 'level'), [(1, 'problem'), (3, 'warning'), (9, 'ok')])
def test_disk(tiny, monkeypatch, share, level):
    cfg, model = tiny
    free = int(share * resources.checkpoint_bytes(model))
    monkeypatch.setattr(resources.shutil, 'disk_usage', lambda path: Usage(0, 0, free))
    assert resources.check_disk(cfg, model, True).level == level


def test_a_folder_that_cannot_be_written_to(tiny, monkeypatch):
    monkeypatch.setattr(resources.os, 'access', lambda path, mode: False)
    assert 'not writable' in resources.check_disk(*tiny, True).message


def test_size_of_a_checkpoint(tiny):
    _, model = tiny
    count = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert resources.checkpoint_bytes(model) == 4 * count + 8 * trained
    assert resources.checkpoint_bytes(model, trains=False) == 4 * count


@pytest.mark.parametrize(('devices', 'level'), [(8, 'ok'), (1, 'warning'), (0, 'warning')])
def test_batch(monkeypatch, devices, level):
    monkeypatch.setattr(resources.torch.cuda, 'device_count', lambda: devices)
    finding = resources.check_batch(load('xclip_b16_k400'))
    assert finding.level == level
    if devices < 2:
        assert finding.remedy.endswith('accumulative_counts=32')


def test_batch_of_a_config_without_optimizer():
    cfg = Config(dict(train_dataloader=dict(batch_size=2), auto_scale_lr=dict(base_batch_size=2)))
    finding = resources.check_batch(cfg)
    assert f'x 2 videos x 1 = {2 * max(1, torch.cuda.device_count())} videos' in finding.message


@pytest.mark.parametrize(('workers', 'level'), [(1, 'ok'), (10_000, 'warning')])
def test_workers(tiny, workers, level):
    cfg, _ = tiny
    cfg.train_dataloader.num_workers = workers
    assert resources.check_workers(cfg).level == level


def test_memory_is_near_the_published_one():
    """6 GB for two videos of 8 frames, text frozen (table 7 of the paper)."""
    cfg = load('xclip_b16_k400')
    cfg.train_dataloader.batch_size = 2
    needed = resources.training_memory(cfg, build(cfg))
    assert 4.5e9 < needed < 7.5e9


def test_memory_against_the_card(monkeypatch):
    cfg = load('xclip_l14_k400')
    model = build(cfg)
    card = SimpleNamespace(total_memory=8 * 2**30)
    monkeypatch.setattr(resources.torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(resources.torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setattr(resources.torch.cuda, 'get_device_properties', lambda index: card)
    assert resources.check_memory(cfg, model).level == 'warning'
    card.total_memory = 640 * 2**30
    assert resources.check_memory(cfg, model).level == 'ok'


class TestBeforeARun:
    def test_what_is_missing_ends_it(self, empty_folder):
        match = r"train data: list '.*' does not exist \(and 3 more\); python tools/data/prepare.py"
        with pytest.raises(ConfigError, match=match):
            refuse_certain_failure(load('xclip_b16_k400'), 'c.py', trains=True)

    def test_a_test_asks_for_its_own_data_alone(self, empty_folder):
        name = 'xclip_b16_f32_hmdb51_2shot'
        cfg = load(name)
        lay_out(Config(dict(test_dataloader=cfg.test_dataloader)), empty_folder)
        refuse_certain_failure(cfg, 'c.py', trains=False)
        with pytest.raises(ConfigError, match='train data: list'):
            refuse_certain_failure(cfg, 'c.py', trains=True)

    def test_it_can_be_turned_off(self, empty_folder):
        cfg = load('xclip_b16_k400')
        cfg.doctor = False
        refuse_certain_failure(cfg, 'c.py', trains=True)

    @pytest.mark.parametrize(
        ('list_of', 'prefix'),
        [('x.mp4 0', 'videos.tar/inner'), ('{folder}/real/x.mp4 0', 'absent')],
        ids=['folder in an archive', 'absolute paths'],
    )
    def test_videos_that_need_no_folder(self, empty_folder, list_of, prefix):
        """What the dataset can find is not refused."""
        lay_out_one_video(empty_folder, list_of)
        cfg = one_video(prefix)
        dataset = {**cfg.train_dataloader.dataset, 'pipeline': []}
        assert len(DATASETS.build(dataset)) == 1
        refuse_certain_failure(cfg, 'c.py', trains=True)

    @pytest.mark.parametrize('prefix', ['absent', 'absent.tar/inner'])
    def test_videos_that_need_a_folder(self, empty_folder, prefix):
        lay_out_one_video(empty_folder, 'x.mp4 0')
        with pytest.raises(ConfigError, match=f"videos '{prefix}' does not exist"):
            refuse_certain_failure(one_video(prefix), 'c.py', trains=True)

    @pytest.mark.parametrize('share', [0.9, 1.1])
    def test_no_room_for_a_checkpoint(self, empty_folder, tiny, monkeypatch, share):
        cfg, model = tiny
        free = int(share * resources.checkpoint_bytes(model))
        monkeypatch.setattr(resources.shutil, 'disk_usage', lambda path: Usage(0, 0, free))
        if share > 1:
            refuse_certain_failure(cfg, 'c.py', trains=True)
            return
        with pytest.raises(ConfigError, match=r'disk: 0.0. GiB free in .* --work-dir on another'):
            refuse_certain_failure(cfg, 'c.py', trains=True)

    def test_data_that_make_themselves(self, empty_folder):
        refuse_certain_failure(load('xclip_tiny_motion'), 'c.py', trains=True)

    @pytest.mark.parametrize('settings', [{}, dict(train_dataloader=dict(dataset=dict(type='X')))])
    def test_foreign_configs(self, settings):
        refuse_certain_failure(Config(dict(model=dict(type='Other'), **settings)), 'c', trains=True)
