"""Videos inside archives: decoded as those beside them, and as broken where they are."""

from __future__ import annotations

import contextlib
import os
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from torch.utils.data import DataLoader
from video_files import damaged, smeared, truncated, write_video

from mmxclip.datasets import video_archive, video_readers
from mmxclip.datasets.transforms.decoding import RobustDecordDecode, RobustDecordInit
from mmxclip.errors import DataError

KINDS = ('v.tar', 'stored.zip', 'deflated.zip')


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(video_archive, '_known', {})


def pack(path, files):
    """An archive of files, each under its name within a folder."""
    if path.suffix == '.tar':
        with tarfile.open(path, 'w') as archive:
            for file in files:
                archive.add(file, f'clips/{file.name}')
    else:
        method = zipfile.ZIP_DEFLATED if 'deflated' in path.name else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, 'w', method) as archive:
            for file in files:
                archive.write(file, f'clips/{file.name}')
    return path


def decode(path, indices=(0, 5, 11, 23), **kwargs) -> dict:
    results = RobustDecordInit(**kwargs)({'filename': str(path), 'label': 3})
    results['frame_inds'] = np.minimum(indices, results['total_frames'] - 1)
    return RobustDecordDecode()(results)


@pytest.mark.parametrize('isolate', [True, False])
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('faststart', [True, False])
def test_equal_to_the_file_itself(tmp_path, kind, isolate, faststart):
    files = [
        write_video(tmp_path / 'a clip, the first.mp4', faststart=faststart),
        write_video(tmp_path / 'ünï.mp4', 7, (32, 16), faststart=faststart),
    ]
    folder = tmp_path / 'some, folder [ü]'
    folder.mkdir()
    archive = pack(folder / kind, files)
    for file in files * 2:
        inside, beside = (
            decode(path, isolate=isolate) for path in (archive / 'clips' / file.name, file)
        )
        assert (inside['total_frames'], inside['avg_fps']) == (
            beside['total_frames'],
            beside['avg_fps'],
        )
        np.testing.assert_array_equal(np.stack(inside['imgs']), np.stack(beside['imgs']))


BROKEN = {
    'empty': (lambda path: path.touch() or path, r'cannot be opened \(FFmpeg finds no video'),
    'text': (lambda path: path.write_text('no video' * 99) and path, 'cannot be opened'),
    'truncated': (truncated, 'cannot be opened'),
    'damaged': (damaged, r'is damaged \(at or after frame \d+ of 24: '),
}


@pytest.mark.parametrize('isolate', [True, False])
@pytest.mark.parametrize('kind', KINDS)
def test_broken_members(tmp_path, kind, isolate):
    files = [make(tmp_path / f'{name}.mp4') for name, (make, _) in BROKEN.items()]
    archive = pack(tmp_path / kind, [*files, write_video(tmp_path / 'good.mp4')])
    for name, (_, message) in BROKEN.items():
        path = archive / 'clips' / f'{name}.mp4'
        with pytest.raises(DataError, match=f'{name}.mp4 ({message})') as caught:
            decode(path, isolate=isolate)
        assert str(caught.value).startswith(f'{path} ')
        assert '\n' not in str(caught.value)
        assert '/dev/fd' not in str(caught.value)
        assert 'subfile' not in str(caught.value)
        good = decode(archive / 'clips' / 'good.mp4', isolate=isolate)
        assert good['total_frames'] == 24


@pytest.mark.parametrize('kind', KINDS)
def test_wrong_pictures_are_refused(tmp_path, kind):
    archive = pack(tmp_path / kind, [smeared(tmp_path / 'smeared.mp4')])
    with pytest.raises(DataError, match=r'smeared\.mp4 is damaged \(FFmpeg: '):
        decode(archive / 'clips' / 'smeared.mp4', [0])


def deflated_badly(path, file, change):
    """A zip whose only member is changed by ``change(bytes, first byte of its content)``."""
    data = bytearray(pack(path, [file]).read_bytes())
    change(data, 30 + len('clips/') + len(file.name))
    path.write_bytes(data)
    return path


def garbled(data, begin):
    data[begin : begin + 200] = b'\xff' * 200


def said_to_be_longer(data, begin):
    at = data.index(b'PK\1\2') + 24
    data[at : at + 4] = (int.from_bytes(data[at : at + 4], 'little') + 1).to_bytes(4, 'little')


def said_to_be_short(data, begin):
    at = data.index(b'PK\1\2') + 24
    data[at : at + 4] = (99).to_bytes(4, 'little')


@pytest.mark.parametrize('isolate', [True, False])
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (garbled, 'it does not inflate: .+'),
        (said_to_be_longer, r'it does not inflate to \d+ bytes'),
        (said_to_be_short, 'it does not inflate to 99 bytes'),
    ],
)
def test_members_that_do_not_inflate(tmp_path, isolate, change, message):
    archive = deflated_badly(tmp_path / 'deflated.zip', write_video(tmp_path / 'a.mp4'), change)
    with pytest.raises(DataError, match=rf'a\.mp4 is damaged \({message}'):
        decode(archive / 'clips' / 'a.mp4', isolate=isolate)


def test_little_that_inflates_to_much_is_not_inflated(tmp_path):
    """What is beyond the size that the archive gives is not looked at."""
    from mmxclip.datasets.decoder_process import CHUNK, inflate

    zeros = tmp_path / 'zeros.mp4'
    zeros.write_bytes(bytes(64 * CHUNK))
    archive = pack(tmp_path / 'deflated.zip', [zeros])
    source = video_archive.locate(str(archive / 'clips' / 'zeros.mp4'))
    with archive.open('rb') as file, (tmp_path / 'copy').open('wb') as copy:
        file.seek(source['offset'])
        inflate(file, source['size'], copy, 1000)
        assert copy.tell() <= 2 * CHUNK


def open_files(archive) -> list[str]:
    """Open handles of an archive and of copies of its members."""
    targets = []
    for name in os.listdir('/proc/self/fd'):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            targets.append(os.readlink(f'/proc/self/fd/{name}'))
    return [target for target in targets if target == str(archive) or 'memfd:video' in target]


@pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='needs /proc')
@pytest.mark.parametrize('kind', KINDS)
def test_no_file_stays_open(tmp_path, kind):
    good, bad = write_video(tmp_path / 'good.mp4'), damaged(tmp_path / 'bad.mp4')
    archive = pack(tmp_path / kind, [good, bad])
    results = RobustDecordInit(isolate=False)(
        {'filename': str(archive / 'clips' / 'good.mp4'), 'label': 0}
    )
    assert open_files(archive)  # so that the test would see one
    results['frame_inds'] = np.array([0])
    RobustDecordDecode()(results)
    assert not open_files(archive)
    with pytest.raises(DataError):
        decode(archive / 'clips' / 'bad.mp4', isolate=False)
    assert not open_files(archive)


def test_an_archive_that_vanishes(tmp_path):
    archive = pack(tmp_path / 'v.tar', [write_video(tmp_path / 'a.mp4')])
    results = RobustDecordInit()({'filename': str(archive / 'clips' / 'a.mp4'), 'label': 0})
    video_readers._stop_child()  # which has it open
    archive.unlink()
    results['frame_inds'] = np.array([0])
    with pytest.raises(DataError, match=r'v\.tar does not exist; check data_prefix'):
        RobustDecordDecode()(results)
    with pytest.raises(DataError, match=r'v\.tar/clips/a\.mp4 does not exist'):
        decode(archive / 'clips' / 'a.mp4')


def dataset(tmp_path, kind, rows, **kwargs):
    (tmp_path / 'list.txt').write_text(rows)
    pipeline = [
        dict(type='RobustDecordInit', isolate=kwargs.pop('isolate', True)),
        dict(type='SegmentSampleFrames', clip_len=2, test_mode=True),
        dict(type='RobustDecordDecode'),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
    return DATASETS.build(
        dict(
            type='LabelledVideoDataset',
            ann_file='list.txt',
            data_root=str(tmp_path),
            data_prefix=dict(video=kind),
            pipeline=pipeline,
            test_mode=True,
            **kwargs,
        )
    )


@pytest.mark.parametrize(
    ('kind', 'isolate', 'context', 'workers'),
    [
        ('v.tar', True, 'fork', 2),
        ('v.tar', False, 'fork', 4),
        ('deflated.zip', False, 'fork', 4),
        ('v.tar', True, 'spawn', 1),
    ],
)
@pytest.mark.filterwarnings('ignore:This DataLoader will create')
def test_many_workers(tmp_path, kind, isolate, context, workers):
    """Each video as the file beside it, whichever worker reads it, index inherited or not."""
    files = [write_video(tmp_path / f'{i}.mp4', 3 + i, (32, 16 + 16 * (i % 2))) for i in range(6)]
    pack(tmp_path / kind, files)
    rows = ''.join(f'{i}.mp4 {i}\n' for i in range(6)) * 4
    inside = dataset(tmp_path, kind, rows, isolate=isolate)
    beside = dataset(tmp_path, '', rows, isolate=False)
    loader = DataLoader(
        inside,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=context,
    )
    samples = list(loader)
    assert len(samples) == 24
    for index, sample in enumerate(samples):
        assert torch.equal(sample['inputs'], beside[index % 6]['inputs'])
        assert sample['data_samples'].gt_label.item() == index % 6


@pytest.mark.parametrize('kind', KINDS)
def test_rows_are_looked_up_in_the_archive(tmp_path, kind):
    for name in ('a.mp4', 'b c.mp4'):
        (tmp_path / name).write_bytes(b'x')
    pack(tmp_path / kind, [tmp_path / 'a.mp4', tmp_path / 'b c.mp4'])
    assert len(dataset(tmp_path, kind, 'clips/a.mp4 0\nclips/b c 1\na.mp4 0\nx/clips/a.mp4 0')) == 4
    with pytest.raises(
        DataError, match=r"2 rows .* row 2: .*no member 'c.mp4'; .* row 3: "
    ) as error:
        dataset(tmp_path, kind, 'a.mp4 0\nc.mp4 1\nrun/a.mp4 1')
    assert '\n' not in str(error.value)


def test_a_bad_archive_is_said_once_and_not_for_each_row(tmp_path):
    path = pack(tmp_path / 'v.tar', [write_video(tmp_path / 'a.mp4')])
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match=r'^archive .*v\.tar is cut short or damaged') as error:
        dataset(tmp_path, 'v.tar', 'a.mp4 0\nb.mp4 1\n')
    assert 'row' not in str(error.value)


def test_labels_are_held_against_folders_within_the_archive(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'x')
    pack(tmp_path / 'v.tar', [tmp_path / 'a.mp4'])
    assert len(dataset(tmp_path, 'v.tar', 'clips/a.mp4 0', classes=['clips', 'run']))
    with pytest.raises(DataError, match='the label of another class'):
        dataset(tmp_path, 'v.tar', 'clips/a.mp4 1', classes=['clips', 'run'])
