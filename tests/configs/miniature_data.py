"""Folders like those of the benchmarks, with two or three videos of a second or two."""

from __future__ import annotations

import csv
from pathlib import Path

from mmengine.config import Config
from video_files import write_video

from mmxclip.labels.class_names import load_class_names

FULL_LISTS = {'hmdb51': 'hmdb51_mmaction2'}
SIZES = ((64, 48), (56, 80), (80, 80))
"""Wide, tall and square; width, height."""


def lay_out(cfg: Config, root: Path, num_videos: int = 3) -> None:
    """Write all that the datasets of a config ask for below ``root``.

    Args:
        cfg: a config whose paths are relative.
        root: the folder that a run is started in.
        num_videos: rows of each list; their labels differ.
    """
    sources = [
        write_video(root / f'source{index}.mp4', 20 + 30 * index, size)
        for index, size in enumerate(SIZES[:num_videos])
    ]
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is not None:
            _lay_out_split(loader.dataset, root, sources)


def _lay_out_split(dataset: dict, root: Path, sources: list[Path]) -> None:
    names = _class_names(dataset, root)
    folder = root / dataset['data_root']
    rows = []
    for index, source in enumerate(sources):
        label = index * (len(names) - 1) // max(1, len(sources) - 1)
        path = Path(names[label].replace(' ', '_')) / f'{index}.mp4'
        video = folder / dataset['data_prefix']['video'] / path
        video.parent.mkdir(parents=True, exist_ok=True)
        if not video.exists():
            video.hardlink_to(source)
        rows.append(f'{path} {label}\n')
    (folder / dataset['ann_file']).write_text(''.join(rows), encoding='utf-8')


def _class_names(dataset: dict, root: Path) -> tuple[str, ...]:
    """Names of a dataset; a part of all classes is written as ``tools/data/prepare.py`` does."""
    classes = dataset['classes']
    if not classes.endswith('.csv'):
        return load_class_names(classes, dataset.get('label_order'))
    benchmark = Path(classes).parent.name
    everything = load_class_names(FULL_LISTS.get(benchmark, benchmark))
    half = (len(everything) + 1) // 2
    names = everything[:160] if 'zeroshot' in classes else everything[:half]
    path = root / classes
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', encoding='utf-8', newline='') as file:
        csv.writer(file).writerows([('id', 'name'), *enumerate(names)])
    return names
