"""Real kinds of videos: each is read with the pictures that it has, or refused in one line.

Made by the ffmpeg of ``imageio-ffmpeg``. decord does not read all of them: those
that PyAV has to read are marked as such.
"""

import shutil
import subprocess

import numpy as np
import pytest
from video_files import mutated

from mmxclip.datasets.video_readers import IsolatedReader
from mmxclip.errors import DataError
from mmxclip.inference import other_decoder
from mmxclip.inference.other_decoder import pictures, upright

imageio_ffmpeg = pytest.importorskip('imageio_ffmpeg')

H264 = ('-c:v', 'libx264', '-pix_fmt', 'yuv420p')
X265 = ('-c:v', 'libx265', '-x265-params', 'log-level=none')
SIZE, RATE, SECONDS = '64x48', 10, 2


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-hide_banner', '-loglevel', 'error', '-y']
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def make(path, *arguments, size=SIZE, before=()):
    """Two seconds of ffmpeg's test picture, which counts its frames."""
    source = f'testsrc=size={size}:rate={RATE}:duration={SECONDS}'
    ffmpeg(*before, '-f', 'lavfi', '-i', source, *arguments, path)
    return path


def turned(path, degrees, size=SIZE):
    """As a phone held upright writes it: pictures lying, and a mark to turn them."""
    lying = make(path.with_stem('lying'), '-c:v', 'libx264', '-qp', '0', *H264[2:], size=size)
    ffmpeg('-display_rotation', degrees, '-i', lying, '-c', 'copy', path)
    return path


def reference(path, index):
    """A picture as ffmpeg itself shows it."""
    out = path.with_suffix('.png')
    ffmpeg('-i', path, '-vf', f'select=eq(n\\,{index})', '-frames:v', 1, '-fps_mode', 'vfr', out)
    (picture,) = pictures(str(out))
    return picture.to_ndarray(format='rgb24')


KINDS = {
    'h264.mp4': H264,
    'h264.mov': H264,
    'h264.mkv': H264,
    'h264.flv': H264,
    'chroma.mp4': ('-c:v', 'libx264', '-pix_fmt', 'yuv444p'),
    'ten bits.mp4': ('-c:v', 'libx264', '-pix_fmt', 'yuv420p10le'),
    'hevc.mp4': (*X265, '-pix_fmt', 'yuv420p'),
    'hevc ten bits.mkv': (*X265, '-pix_fmt', 'yuv420p10le'),
    'vp8.webm': ('-c:v', 'libvpx'),
    'vp9.webm': ('-c:v', 'libvpx-vp9'),
    'mpeg4.avi': ('-c:v', 'mpeg4'),
    'mjpeg.avi': ('-c:v', 'mjpeg'),
    'raw.avi': ('-c:v', 'rawvideo', '-pix_fmt', 'yuv420p'),
    'prores.mov': ('-c:v', 'prores_ks'),
    'wmv2.wmv': ('-c:v', 'wmv2'),
    'with sound.mp4': ('-f', 'lavfi', '-i', f'sine=duration={SECONDS}', *H264, '-c:a', 'aac'),
    'ünï 视频 (1).mp4': H264,
}
BY_PYAV = {
    'picture.gif': (),
    'theora.ogv': ('-c:v', 'libtheora'),
    'av1.mp4': ('-c:v', 'libaom-av1', '-cpu-used', '8'),
    'av1.webm': ('-c:v', 'libaom-av1', '-cpu-used', '8'),
}


def shown(classifier, path):
    """What the model gets, as pictures ``(T, H, W, 3)``."""
    return classifier.prepare(path)[0].permute(1, 2, 3, 0).numpy()


def check_first_frame(classifier, path, tolerance=12):
    """The first frame that the model sees is the one that ffmpeg shows at that place."""
    import cv2

    seen = shown(classifier, path)
    assert seen.shape == (8, 64, 64, 3)
    expected = cv2.resize(reference(path, 1), (64, 64))  # floor(20 / 16)
    assert np.abs(seen[0].astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize('name', [*KINDS, *BY_PYAV])
def test_kinds(classifier, tmp_path, name):
    path = make(tmp_path / name, *{**KINDS, **BY_PYAV}[name])
    check_first_frame(classifier, path)
    assert len(classifier(path, labels=['a circle', 'a square']).predictions) == 2


@pytest.mark.parametrize('name', BY_PYAV)
def test_what_decord_does_not_read(tmp_path, name):
    """Once it does, the second decoder is not needed for it."""
    path = make(tmp_path / name, *BY_PYAV[name])
    with pytest.raises(DataError, match='cannot be opened'):
        IsolatedReader(str(path), 30)


@pytest.mark.parametrize('degrees', [90, 180, 270])
@pytest.mark.parametrize('size', ['64x48', '128x64'])
def test_turned_videos_are_seen_upright(classifier, tmp_path, size, degrees):
    check_first_frame(classifier, turned(tmp_path / 'phone.mp4', degrees, size), tolerance=5)


def test_turning_is_exact(tmp_path):
    for degrees in (90, 180, 270):
        path = turned(tmp_path / 'phone.mp4', degrees)
        first = upright(next(pictures(str(path))))
        assert np.abs(first.astype(int) - reference(path, 0)).mean() < 1


@pytest.mark.parametrize('size', ['63x47', '33x49', '640x16', '16x640', '2x2'])
def test_odd_sizes(classifier, tmp_path, size):
    path = make(tmp_path / 'odd.mkv', '-c:v', 'libx264', '-pix_fmt', 'yuv444p', size=size)
    check_first_frame(classifier, path, tolerance=25)


@pytest.mark.parametrize('count', [1, 2, 7])
def test_few_frames(classifier, tmp_path, count):
    path = make(tmp_path / 'short.mp4', *H264, '-frames:v', count)
    assert shown(classifier, path).shape == (8, 64, 64, 3)


def test_variable_frame_rate(classifier, tmp_path):
    """Frames are counted, not timed: as sampling by segments has it."""
    every = "select='lt(n,7)+not(mod(n,3))'"
    path = make(tmp_path / 'vfr.mp4', '-vf', every, '-fps_mode', 'vfr', *H264)
    reader = IsolatedReader(str(path), 30)
    assert reader.total_frames == sum(n < 7 or n % 3 == 0 for n in range(RATE * SECONDS))
    assert shown(classifier, path).shape == (8, 64, 64, 3)


def test_names_without_or_with_wrong_endings(classifier, tmp_path):
    webm = make(tmp_path / 'a.webm', '-c:v', 'libvpx-vp9')
    for name in ('no ending', 'wrong.mp4'):
        shutil.copy(webm, tmp_path / name)
        check_first_frame(classifier, tmp_path / name)


def test_sound_alone_is_refused(classifier, tmp_path):
    ffmpeg('-f', 'lavfi', '-i', 'sine=duration=1', tmp_path / 'sound.mp4')
    with pytest.raises(DataError, match=r'sound\.mp4 holds no video'):
        classifier.prepare(tmp_path / 'sound.mp4')


def test_a_transport_stream_is_refused(classifier, tmp_path):
    """decord cannot seek in it, and says what it says of files that are cut."""
    path = make(tmp_path / 'broadcast.ts', *H264)
    with pytest.raises(DataError, match=r'broadcast\.ts is damaged .*; re-encode it'):
        classifier.prepare(path)


@pytest.mark.parametrize('kind', ['picture.gif', 'av1.webm', 'av1.mp4'])
@pytest.mark.parametrize('seed', [0, 1, 4, 5])
def test_damaged_files_of_the_second_decoder(classifier, tmp_path, kind, seed):
    """Cut (0, 4) or with a stretch of zeros (1, 5): read, or refused by name; never a crash."""
    whole = make(tmp_path / kind, *BY_PYAV[kind])
    path = mutated(whole, tmp_path / f'bad {kind}', seed)
    outcome = classifier._feeder.outcome(path, path.name)
    if isinstance(outcome, DataError):
        assert f'bad {kind}' in str(outcome)
        assert '\n' not in str(outcome)
    else:
        assert outcome.shape == (1, 3, 8, 64, 64)


def test_a_cut_file_of_the_second_decoder_is_refused(classifier, tmp_path):
    path = make(tmp_path / 'cut.mp4', *BY_PYAV['av1.mp4'], '-movflags', '+faststart')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r'cut\.mp4 is damaged'):
        classifier.prepare(path)


def test_without_pyav_the_way_to_it_is_told(classifier, tmp_path, monkeypatch):
    path = make(tmp_path / 'picture.gif')
    monkeypatch.setattr(other_decoder, 'find_spec', lambda name: None)
    with pytest.raises(DataError, match=r'picture\.gif .*PyAV .* pip install "mmxclip\[all\]"'):
        classifier.prepare(path)
