"""H.264 files by PyAV, read back by decord."""

import subprocess
import sys

import decord
import numpy as np
import pytest

from mmxclip.datasets.motion.writing import write_video
from mmxclip.datasets.motion_dataset import Recipe
from mmxclip.errors import ConfigError


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    bright = rng.uniform(30, 220, size=(6, 4, 6, 3))  # blocks: what H.264 keeps
    return bright.repeat(16, axis=1).repeat(16, axis=2).astype(np.uint8)


def test_frames_come_back(tmp_path, frames):
    path = tmp_path / 'a.mp4'
    write_video(path, frames, fps=8)
    reader = decord.VideoReader(str(path))
    assert len(reader) == 6
    assert reader.get_avg_fps() == pytest.approx(8)
    read = reader.get_batch(range(6)).asnumpy()
    assert read.shape == frames.shape
    assert np.abs(read.astype(int) - frames).mean() < 12  # colour is halved and quantized


def test_it_is_h264(tmp_path, frames):
    import av

    write_video(tmp_path / 'a.mp4', frames, fps=8)
    with av.open(str(tmp_path / 'a.mp4')) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ('h264', 'yuv420p')


def test_the_same_frames_give_the_same_bytes(tmp_path):
    # x264 with its usual look-ahead gives these frames two or more encodings
    frames = Recipe('train', 1, seed=0, num_frames=16, img_size=64, fps=8).frames(0)
    encodings = set()
    for _ in range(40):
        write_video(tmp_path / 'a.mp4', frames, fps=8)
        encodings.add((tmp_path / 'a.mp4').read_bytes())
    assert len(encodings) == 1


def test_without_pyav_the_way_to_get_it_is_named(tmp_path, frames, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(ConfigError, match=r'pip install "mmxclip\[all\]"'):
        write_video(tmp_path / 'a.mp4', frames, fps=8)


def test_importing_the_datasets_does_not_need_pyav():
    code = "import sys; sys.modules['av'] = None; import mmxclip.datasets.motion_dataset"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
