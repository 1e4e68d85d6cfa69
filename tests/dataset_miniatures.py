"""Miniature datasets laid out as their owners distribute them, with a handful of tiny videos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from video_files import write_video

from mmxclip.labels.class_names import load_class_names

HMDB = tuple(name.replace(' ', '_') for name in load_class_names('hmdb51_mmaction2'))
UCF = load_class_names('ucf101')
SSV2 = load_class_names('ssv2')


@cache
def _tiny(ending: str) -> Path:
    """A video of that ending, written once and then copied."""
    codec = {'.avi': 'mpeg4', '.webm': 'libvpx'}.get(ending, 'libx264')
    return write_video(Path(mkdtemp()) / f'tiny{ending}', num_frames=6, size=(32, 24), codec=codec)


def put_video(path: Path) -> Path:
    """A tiny video at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_tiny(path.suffix), path)
    return path


def hmdb51(
    root: Path,
    per_class: int = 2,
    with_videos: Sequence[str] = ('kick', 'kick_ball'),
    splits: Iterable[int] = (1, 2, 3),
) -> Path:
    """HMDB51 below ``root``: split files for all classes, videos for some.

    Videos 0 .. per_class - 1 are for training in all splits, the next two are for
    test, and the last one is unused.
    """
    folder = root / 'testTrainMulti_7030_splits'
    folder.mkdir(parents=True)
    flags = ['1'] * per_class + ['2', '2', '0']
    for name in HMDB:
        rows = [f'clip {i}!_{name}_u.avi {flag} ' for i, flag in enumerate(flags)]
        for split in splits:
            (folder / f'{name}_test_split{split}.txt').write_text('\n'.join(rows) + '\n')
    for name in with_videos:
        for i in range(len(flags)):
            put_video(root / 'videos' / name / f'clip {i}!_{name}_u.avi')
    return root / 'videos'


def ucf101(
    root: Path, per_class: int = 2, with_videos: Sequence[str] = ('Archery', 'YoYo')
) -> Path:
    """UCF101 below ``root``: lists of all classes, videos for some; one test video a class."""
    folder = root / 'ucfTrainTestlist'
    folder.mkdir(parents=True)
    write_rows(folder / 'classInd.txt', (f'{i} {name}' for i, name in enumerate(UCF, start=1)))
    for split in (1, 2, 3):
        train = [
            f'{name}/v_{name}_g{g:02d}_c01.avi {i}'
            for i, name in enumerate(UCF, start=1)
            for g in range(8, 8 + per_class)
        ]
        write_rows(folder / f'trainlist{split:02d}.txt', train)
        test = (f'{name}/v_{name}_g01_c01.avi' for name in UCF)
        write_rows(folder / f'testlist{split:02d}.txt', test)
    for name in with_videos:
        for g in (1, *range(8, 8 + per_class)):
            put_video(root / 'UCF-101' / name / f'v_{name}_g{g:02d}_c01.avi')
    return root / 'UCF-101'


def ssv2(root: Path, videos: Sequence[int] = (0, 1, 2)) -> Path:
    """SSv2 below ``root``: one training and one validation video a class, some of them on disk.

    Training video i and validation video 1000 + i are of class i.
    """
    folder = root / 'labels'
    folder.mkdir(parents=True)
    labels = {name: str(label) for label, name in enumerate(SSV2)}
    (folder / 'something-something-v2-labels.json').write_text(json.dumps(labels))
    for part, begin in (('train', 0), ('validation', 1000)):
        items = [
            {
                'id': str(begin + i),
                'label': name.replace('something', 'a cup'),
                'template': name.replace('something', '[something]'),
                'placeholders': ['a cup'],
            }
            for i, name in enumerate(SSV2)
        ]
        (folder / f'something-something-v2-{part}.json').write_text(json.dumps(items))
    for i in videos:
        put_video(root / '20bn-something-something-v2' / f'{i}.webm')
        put_video(root / '20bn-something-something-v2' / f'{1000 + i}.webm')
    return root / '20bn-something-something-v2'


def kinetics(
    root: Path, clips: dict[str, list[tuple[str, str]]], flat: bool = True, present: bool = True
) -> Path:
    """Kinetics below ``root``: for each part, clips as (class, YouTube id) of seconds 3 to 13."""
    for part, rows in clips.items():
        lines = [f'"{label}",{video},3,13,{part}' for label, video in rows]
        write_rows(root / f'{part}.csv', ['label,youtube_id,time_start,time_end,split', *lines])
        for label, video in rows if present else ():
            folder = root / part if flat else root / part / label
            put_video(folder / f'{video}_000003_000013.mp4')
    return root


def write_rows(path: Path, rows: Iterable[str]) -> Path:
    """A text file of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{row}\n' for row in rows))
    return path
