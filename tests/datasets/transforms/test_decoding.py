"""Decoding: equal to MMAction2's on whole files, and one error for each broken one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from mmaction.datasets.transforms import DecordDecode, DecordInit
from video_files import damaged, smeared, truncated, without_first_frames, write_video

from mmxclip.datasets import video_readers
from mmxclip.datasets.transforms.decoding import RobustDecordDecode, RobustDecordInit
from mmxclip.errors import ConfigError, DataError


def decode(path, indices=(0, 5, 11), **kwargs) -> dict | None:
    """Both steps, as a pipeline runs them."""
    kwargs.setdefault('on_error', 'raise')
    results = RobustDecordInit(**kwargs)({'filename': str(path), 'label': 3})
    if results is None:
        return None
    results['frame_inds'] = np.minimum(indices, results['total_frames'] - 1)
    return RobustDecordDecode()(results)


@pytest.mark.parametrize('isolate', [True, False])
@pytest.mark.parametrize(
    ('size', 'num_frames'), [((64, 48), 24), ((65, 47), 24), ((64, 48), 1), ((32, 16), 3)]
)
def test_equal_to_the_stock_steps(tmp_path, isolate, size, num_frames):
    path = write_video(tmp_path / 'a clip.mp4', num_frames, size)
    ours = decode(path, isolate=isolate)
    stock = DecordInit()({'filename': str(path)})
    assert (ours['total_frames'], ours['avg_fps']) == (num_frames, stock['avg_fps'])
    stock['frame_inds'] = ours['frame_inds']
    stock = DecordDecode()(stock)
    assert ours['img_shape'] == ours['original_shape'] == stock['img_shape'] == size[::-1]
    np.testing.assert_array_equal(np.stack(ours['imgs']), np.stack(stock['imgs']))
    assert all(image.flags.writeable for image in ours['imgs'])
    added = set(ours) - {'filename', 'label', 'frame_inds'}
    assert added == {'total_frames', 'avg_fps', 'imgs', 'original_shape', 'img_shape'}


def cut_before_the_index(path):
    data = write_video(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


BROKEN = {
    'absent': (lambda path: path, 'does not exist; check data_prefix'),
    'empty': (lambda path: path.touch() or path, r'cannot be opened \(FFmpeg finds no video'),
    'text': (lambda path: path.write_text('no video' * 99) and path, 'cannot be opened'),
    'folder': (lambda path: path.mkdir() or path, 'cannot be opened'),
    'cut_before_the_index': (cut_before_the_index, 'cannot be opened'),
    'truncated': (truncated, 'cannot be opened'),
    'damaged': (damaged, r'is damaged \(at or after frame \d+ of 24: '),
}


@pytest.mark.parametrize('isolate', [True, False])
@pytest.mark.parametrize('kind', BROKEN)
def test_broken_files_are_named(tmp_path, kind, isolate):
    make, message = BROKEN[kind]
    path = make(tmp_path / f'{kind}.mp4')
    with pytest.raises(DataError, match=f'{kind}.mp4 ({message})') as caught:
        decode(path, range(24), isolate=isolate)
    assert '\n' not in str(caught.value)
    assert decode(write_video(tmp_path / 'good.mp4'), isolate=isolate)['total_frames'] == 24


HIDDEN = {
    'smeared': (smeared, r'FFmpeg: .*(unavailable for requested intra|error while decoding)'),
    'cut_out': (without_first_frames, 'more than 5% of its frames give no picture'),
}


@pytest.mark.parametrize('kind', HIDDEN)
def test_wrong_pictures_are_refused(tmp_path, kind):
    """Also for frames that are right, so that the verdict hangs on the video alone."""
    make, message = HIDDEN[kind]
    path = make(tmp_path / f'{kind}.mp4')
    for _ in range(5):
        with pytest.raises(DataError, match=rf'{kind}\.mp4 is damaged \({message}'):
            decode(path, [0])


@pytest.mark.parametrize('kind', HIDDEN)
def test_decord_alone_gives_wrong_pictures_out(tmp_path, kind):
    """The reason for the check; when this fails, decord has learned to do without it."""
    path = HIDDEN[kind][0](tmp_path / 'video.mp4')
    pictures = decode(path, range(24), check_frames=0)['imgs']
    whole = decode(write_video(tmp_path / 'sound.mp4'), range(24))['imgs']
    assert any((ours != sound).any() for ours, sound in zip(pictures, whole, strict=True))


def test_damage_anywhere_is_found_each_time(tmp_path):
    """decord raises or not for frame 0 of this video, as its threads go."""
    path = damaged(tmp_path / 'damaged.mp4')
    for _ in range(10):
        with pytest.raises(DataError, match=r'damaged\.mp4 is damaged'):
            decode(path, [0])


def test_long_videos_are_judged_by_the_frames_asked_for(tmp_path):
    path = smeared(tmp_path / 'smeared.mp4')
    assert len(decode(path, [23], check_frames=23)['imgs']) == 1
    with pytest.raises(DataError, match=r'smeared\.mp4 is damaged \(FFmpeg'):
        decode(path, [11], check_frames=23)


def test_a_sound_video_is_checked_once(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'clip.mp4')
    step = RobustDecordInit()
    checks = []
    reader = video_readers.IsolatedReader

    def spy(path, timeout, num_threads, check_frames):
        checks.append(check_frames)
        return reader(path, timeout, num_threads, check_frames)

    monkeypatch.setattr('mmxclip.datasets.transforms.decoding.IsolatedReader', spy)
    for _ in range(3):
        step({'filename': str(path)})
    assert checks == [2000, 0, 0]


def test_a_child_is_replaced_after_many_requests(tmp_path, monkeypatch):
    monkeypatch.setattr(video_readers, 'MAX_SERVED', 3)
    path = write_video(tmp_path / 'clip.mp4')
    pids = []
    for _ in range(4):  # two requests each; a replacement between them does no harm
        assert len(decode(path)['imgs']) == 3
        pids.append(video_readers._children[os.getpid()]._process.pid)
    assert len(set(pids)) >= 2


def test_a_hanging_decoder_is_stopped(tmp_path):
    path = tmp_path / 'pipe.mp4'
    os.mkfifo(path)  # opening it waits for a writer that never comes
    begin = time.monotonic()
    with pytest.raises(DataError, match=r'pipe\.mp4: the decoder did not answer within 1 s'):
        decode(path, timeout=1)
    assert time.monotonic() - begin < 10
    assert len(decode(write_video(tmp_path / 'good.mp4'))['imgs']) == 3


def test_a_crashing_decoder_is_restarted(tmp_path):
    path = write_video(tmp_path / 'clip.mp4')
    results = RobustDecordInit(on_error='raise')({'filename': str(path)})
    child = video_readers._children[os.getpid()]._process
    child.kill()
    child.wait()
    results['frame_inds'] = np.arange(4)
    # the child that takes over opens the video again
    assert len(RobustDecordDecode()(results)['imgs']) == 4


@pytest.fixture
def fake_child(tmp_path, monkeypatch):
    """Run other code in the place of the decoder process."""

    def install(code: str) -> None:
        script = tmp_path / 'child.py'
        script.write_text(code)
        video_readers._stop_child()
        monkeypatch.setattr(video_readers.decoder_process, '__file__', str(script))

    yield install
    video_readers._stop_child()


READY = 'import os, signal, sys; os.write(1, b"\\0\\0\\0\\x02{}"); '


@pytest.mark.parametrize(
    ('code', 'cause'),
    [
        ('os.read(0, 1); os.kill(os.getpid(), signal.SIGSEGV)', 'signal SIGSEGV'),
        ('os.read(0, 1); os.abort()', 'signal SIGABRT'),
        ('os.read(0, 1); os.write(1, b"\\0\\0\\0\\x09{}"); sys.exit(3)', 'exit code 3'),
    ],
)
def test_a_crash_while_it_answers(tmp_path, fake_child, code, cause):
    fake_child(READY + code)
    with pytest.raises(DataError, match=rf'a\.mp4: the decoder crashed \({cause}\)'):
        decode(write_video(tmp_path / 'a.mp4'))


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        ('import sys; sys.exit(4)', 'does not start: it ended with exit code 4'),
        (
            """import struct; b = b'{"error": "no decord"}'; """
            "print(struct.pack('>I', len(b)).decode() + b.decode(), end='', flush=True)",
            'does not start: no decord',
        ),
    ],
)
def test_a_child_that_does_not_start(tmp_path, fake_child, code, message):
    """No fault of the video's, so that it must not count as one."""
    fake_child(code)
    with pytest.raises(ConfigError, match=message):
        decode(write_video(tmp_path / 'a.mp4'), on_error='replace')


def test_the_child_ends_with_its_parent(tmp_path):
    path = write_video(tmp_path / 'clip.mp4')
    video_readers._stop_child()
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:  # as a loader worker, which may be killed at any time
        video_readers.IsolatedReader(str(path), 60)
        os.write(write, b'%d' % video_readers._children[os.getpid()]._process.pid)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    pid = int(os.read(read, 20))
    for _ in range(100):
        if not os.path.exists(f'/proc/{pid}'):
            break
        if 'State:\tZ' in Path(f'/proc/{pid}/status').read_text():
            break
        time.sleep(0.05)
    else:
        pytest.fail(f'the decoder {pid} is still running')


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(timeout=0), 'timeout=0 must be more than 0 seconds'),
        (dict(on_error='ignore'), "on_error='ignore' is not known"),
        (dict(max_bad_share=5), 'max_bad_share=5 must lie between 0 and 1'),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ConfigError, match=message):
        RobustDecordInit(**kwargs)


class TestWithoutALabel:
    """As MMAction2's inferencers pass a video: with label -1."""

    @pytest.mark.parametrize('results', [{}, {'label': -1}])
    def test_a_broken_video_is_not_scored(self, tmp_path, results):
        step = RobustDecordInit(on_error='count')
        path = damaged(tmp_path / 'damaged.mp4')
        with pytest.raises(DataError, match=r'damaged\.mp4 is damaged'):
            step(results | {'filename': str(path)})
        assert step(results | {'filename': str(write_video(tmp_path / 'good.mp4'))})

    def test_nor_one_that_breaks_later(self, tmp_path):
        path = write_video(tmp_path / 'video.mp4')
        results = RobustDecordInit(on_error='count')({'filename': str(path), 'label': -1})
        path.unlink()
        video_readers._stop_child()
        results['frame_inds'] = np.array([0])
        with pytest.raises(DataError, match=r'video\.mp4 does not exist'):
            RobustDecordDecode()(results)

    def test_labels_of_several_classes_are_counted(self, tmp_path):
        path = damaged(tmp_path / 'damaged.mp4')
        label = np.array([0, 1])
        results = RobustDecordInit(on_error='count')({'filename': str(path), 'label': label})
        assert 'unreadable' in results

    def test_the_stock_inference(self, tmp_path):
        """Through ``inference_recognizer``, whose model is never reached."""
        from mmaction.apis import inference_recognizer
        from mmengine.dataset import Compose

        pipeline = Compose(
            [
                dict(type='RobustDecordInit', on_error='count'),
                dict(type='SegmentSampleFrames', clip_len=2, test_mode=True),
                dict(type='RobustDecordDecode'),
                dict(type='FormatShape', input_format='NCTHW'),
                dict(type='PackActionInputs'),
            ]
        )
        with pytest.raises(DataError, match=r'damaged\.mp4 is damaged'):
            inference_recognizer(None, str(damaged(tmp_path / 'damaged.mp4')), pipeline)


def test_relative_paths_follow_the_process(tmp_path, monkeypatch):
    """The decoder's process is older than a change of folder, and must follow it."""
    for name, length in (('one', 5), ('two', 9)):
        (tmp_path / name).mkdir()
        write_video(tmp_path / name / 'video.mp4', length)
    for name, length in (('one', 5), ('two', 9), ('one', 5)):
        monkeypatch.chdir(tmp_path / name)
        assert video_readers.IsolatedReader('video.mp4', 60.0).total_frames == length
