"""Checks of the machine, each with its good and its bad case."""

import sys
from collections import namedtuple
from types import SimpleNamespace

import pytest

from mmxclip.doctor import machine
from mmxclip.errors import DataError

Usage = namedtuple('Usage', 'total used free')
ALL = dict(torch='2.9', mmengine='0.10.7', mmaction2='1.2.0', open_clip_torch='3', decord='0.6')


@pytest.fixture
def installed(monkeypatch):
    """A function that says which packages there are."""
    return lambda packages: monkeypatch.setattr(machine, 'version_of', packages.get)


def test_this_machine_can_decode():
    finding = machine.check_decoder()
    assert (finding.level, finding.message) == ('ok', 'decodes H.264 (2 frames of 64 x 64)')


def test_versions(installed):
    installed(ALL)
    finding = machine.check_versions()
    assert finding.level == 'ok'
    assert 'mmaction2 1.2.0' in finding.message


def test_an_absent_package(installed):
    installed({**ALL, 'decord': None})
    finding = machine.check_versions()
    assert (finding.level, finding.remedy) == ('problem', 'pip install decord')


def test_another_mmaction2(installed):
    installed({**ALL, 'mmaction2': '1.1.0'})
    assert machine.check_versions().remedy == 'pip install "mmaction2==1.2.*"'


@pytest.mark.parametrize(
    ('packages', 'level'),
    [(dict(mmcv='2.1'), 'ok'), ({'mmcv-lite': '2.1'}, 'ok'), ({}, 'ok')],
)
def test_one_mmcv(installed, packages, level):
    installed(packages)
    assert machine.check_mmcv_once().level == level


def test_two_of_mmcv(installed):
    installed({'mmcv': '2.1', 'mmcv-lite': '2.1'})
    finding = machine.check_mmcv_once()
    assert finding.level == 'warning'
    assert 'pip uninstall -y mmcv mmcv-lite' in finding.remedy


def test_a_decoder_that_fails(monkeypatch):
    from mmxclip.datasets import video_readers

    def fail(*_):
        raise DataError('no such codec')

    monkeypatch.setattr(video_readers, 'IsolatedReader', fail)
    finding = machine.check_decoder()
    assert finding.level == 'problem'
    assert 'no such codec' in finding.message


def test_without_pyav(monkeypatch):
    monkeypatch.setattr(machine, 'find_spec', lambda name: None)
    monkeypatch.setattr(machine.shutil, 'which', lambda name: None)
    assert machine.check_decoder().level == 'ok'
    finding = machine.check_other_decoders()
    assert (finding.level, finding.remedy) == ('warning', 'pip install "mmxclip[all]"')


def test_other_decoders_are_named(monkeypatch):
    monkeypatch.setattr(machine, 'find_spec', lambda name: name == 'av')
    monkeypatch.setattr(machine.shutil, 'which', lambda name: '/usr/bin/ffmpeg')
    assert machine.check_other_decoders().message == 'beside decord: av, ffmpeg'


def test_no_accelerator(monkeypatch):
    monkeypatch.setattr(machine.torch.cuda, 'is_available', lambda: False)
    assert machine.check_accelerator().level == 'warning'


def test_an_accelerator(monkeypatch):
    cuda = machine.torch.cuda
    monkeypatch.setattr(cuda, 'is_available', lambda: True)
    monkeypatch.setattr(cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(cuda, 'is_bf16_supported', lambda: True)
    card = SimpleNamespace(name='card', total_memory=80 * 2**30)
    monkeypatch.setattr(cuda, 'get_device_properties', lambda index: card)
    finding = machine.check_accelerator()
    assert finding.level == 'ok'
    assert finding.message == 'card (80 GiB), card (80 GiB); bfloat16 and float16'


@pytest.mark.parametrize(('gib', 'level'), [(0.0625, 'warning'), (8, 'ok')])
@pytest.mark.skipif(sys.platform != 'linux', reason='other systems have no /dev/shm')
def test_shared_memory(monkeypatch, gib, level):
    total = int(gib * 2**30)
    monkeypatch.setattr(machine.shutil, 'disk_usage', lambda path: Usage(total, 0, total))
    assert machine.check_shared_memory().level == level
