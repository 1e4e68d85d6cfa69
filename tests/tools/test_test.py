"""``tools/test.py``: our runner on stock configs, and MMAction2's runner on ours."""

import pickle
import re
from pathlib import Path

import mmaction
import numpy as np
import pytest
import torch

STOCK = Path(mmaction.__file__).parent / '.mim'


def test_metrics_are_the_last_line_and_predictions_are_dumped(
    run_tool, trained, tiny_config, tmp_path
):
    checkpoint = trained[1] / 'epoch_1.pth'
    dump = tmp_path / 'predictions.pkl'
    done = run_tool(
        *('test.py', tiny_config, checkpoint, '--work-dir', tmp_path / 'run', '--dump', dump),
        # what the dumped config of a resumed run says; a test must not resume
        *('--cfg-options', 'resume=True'),
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    top1 = re.match(rf'mmxclip: test of {checkpoint}: acc/top1 ([01]\.\d{{4}}), ', last)
    assert top1, last
    samples = pickle.loads(dump.read_bytes())
    assert len(samples) == 8
    hits = [s['pred_score'].argmax().item() == s['gt_label'].item() for s in samples]
    assert np.mean(hits) == pytest.approx(float(top1[1]), abs=5e-5)
    assert {path.name for path in tmp_path.iterdir()} == {'predictions.pkl', 'run'}


def test_failed_test_leaves_no_dump(run_tool, trained, tiny_config, tmp_path):
    done = run_tool(
        *('test.py', tiny_config, trained[1] / 'epoch_1.pth', '--work-dir', tmp_path / 'run'),
        *('--dump', tmp_path / 'out.pkl', '--cfg-options', 'test_dataloader.dataset.broken=6'),
    )
    assert done.returncode == 1
    assert 'mmxclip: error: video clips/6.mp4 cannot be opened' in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['run']


@pytest.mark.parametrize(
    ('args', 'code', 'complaint'),
    [
        (['run.py'], 2, 'the following arguments are required: checkpoint'),
        (['run.py', 'a.pth', '--dump', 'out.json'], 2, "'out.json' must end in .pkl or .pickle"),
        (['absent.py', 'a.pth'], 1, "config 'absent.py' is no file; give the path of a config"),
    ],
)
def test_wrong_use(run_tool, args, code, complaint):
    done = run_tool('test.py', *args)
    assert done.returncode == code
    assert complaint in done.stderr.splitlines()[-1]


def test_absent_checkpoint_leaves_nothing_behind(run_tool, tiny_config, tmp_path):
    done = run_tool('test.py', tiny_config, 'absent.pth', cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "mmxclip: error: checkpoint 'absent.pth' does not exist; give the path of a .pth file"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope='module')
def video_list(tmp_path_factory) -> Path:
    """Write two real videos and the list that names them."""
    av = pytest.importorskip('av')
    folder = tmp_path_factory.mktemp('videos')
    for index in range(2):
        with av.open(str(folder / f'{index}.mp4'), 'w') as container:
            stream = container.add_stream('h264', rate=8)
            stream.width = stream.height = 64
            stream.pix_fmt = 'yuv420p'
            for time in range(8):
                picture = np.full((64, 64, 3), 20 * time + 90 * index, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
            container.mux(stream.encode())
    listing = folder / 'list.txt'
    listing.write_text('0.mp4 0\n1.mp4 1\n')
    return listing


def test_stock_config(run_tool, video_list, tmp_path):
    """A TSN of MMAction2, as it ships, on two videos; only sizes and paths are changed."""
    config = 'tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py'
    weights = tmp_path / 'random.pth'
    torch.save({'state_dict': {}}, weights)
    done = run_tool(
        *('test.py', STOCK / 'configs' / 'recognition' / 'tsn' / config, weights),
        *('--work-dir', tmp_path / 'run', '--cfg-options'),
        *('model.backbone.depth=18', 'model.backbone.pretrained=None'),
        *('model.cls_head.in_channels=512', f'test_dataloader.dataset.ann_file={video_list}'),
        *('test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False'),
        'test_dataloader.dataset.pipeline.1.num_clips=1',
        f'test_dataloader.dataset.data_prefix.video={video_list.parent}',
    )
    assert done.returncode == 0, done.stderr
    assert f'mmxclip: test of {weights}: acc/top1 ' in done.stdout.splitlines()[-1]


def test_runner_of_mmaction2_runs_ours(run_tool, xclip_config, tmp_path):
    """``custom_imports`` in the config is all that MMAction2's own tools need."""
    args = (xclip_config, '--work-dir', tmp_path)
    done = run_tool(STOCK / 'tools' / 'train.py', *args)
    assert done.returncode == 0, done.stderr
    assert 'acc/top1' in done.stdout
    done = run_tool(STOCK / 'tools' / 'test.py', xclip_config, tmp_path / 'epoch_1.pth', *args[1:])
    assert done.returncode == 0, done.stderr
    assert 'acc/top1' in done.stdout
