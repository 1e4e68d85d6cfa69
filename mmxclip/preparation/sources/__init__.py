"""Readers of the datasets, one each, as their owners distribute them."""

from __future__ import annotations

from pathlib import Path

from mmxclip.errors import ConfigError
from mmxclip.preparation.sources import hmdb51, kinetics, ssv2, ucf101
from mmxclip.preparation.structure import Source

DATASETS = ('kinetics400', 'kinetics600', 'hmdb51', 'ucf101', 'ssv2')


def read_source(
    name: str, videos: Path, annotations: Path | None = None, label_order: str = 'mmaction2'
) -> Source:
    """Read what is annotated of a dataset; videos are not looked at yet.

    Args:
        name: one of :data:`DATASETS`.
        videos: folder that was unpacked; annotation files may lie in it or beside it.
        annotations: folder of the annotation files, where they lie elsewhere.
        label_order: ``mmaction2`` or ``xclip``; of HMDB51 alone there are two.

    Raises:
        ConfigError: the dataset is not known.
        DataError: annotation files are absent, or of another version or dataset.
    """
    if name in ('kinetics400', 'kinetics600'):
        return kinetics.read(name, videos, annotations)
    if name == 'hmdb51':
        return hmdb51.read(videos, annotations, label_order)
    if name == 'ucf101':
        return ucf101.read(videos, annotations)
    if name == 'ssv2':
        return ssv2.read(videos, annotations)
    raise ConfigError(f'dataset {name!r} is not known; expected one of {", ".join(DATASETS)}')
