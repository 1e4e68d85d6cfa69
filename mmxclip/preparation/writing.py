"""Subset lists of a dataset: which there are, and their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmxclip.errors import ConfigError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.annotations import write_classes, write_list
from mmxclip.preparation.report import Report
from mmxclip.preparation.structure import Row, Source
from mmxclip.preparation.subsets import base_novel, published, zero_shot
from mmxclip.preparation.subsets.drawing import draw_shots

FEW_SHOT = ('hmdb51', 'ucf101')
BASE_NOVEL = ('kinetics400', 'hmdb51', 'ucf101', 'ssv2')
ZERO_SHOT = ('kinetics600',)


@dataclass(frozen=True)
class SubsetOptions:
    """Which subsets to make.

    Args:
        shots: videos per class of few-shot lists.
        seeds: of few-shot lists and base-to-novel training; of zero-shot splits
            the first one is split 1.
        few_shot_lists: published ones, written beside those drawn.
        zeroshot_lists: class lists of published splits, in place of drawn ones.
    """

    shots: Sequence[int] = (2, 4, 8, 16)
    seeds: Sequence[int] = (0, 1, 2)
    few_shot_lists: Sequence[Path] = ()
    zeroshot_lists: Sequence[Path] = ()


@dataclass(frozen=True)
class Usable:
    """A dataset with the videos that are on disk, and where to write.

    Args:
        source: as annotated.
        rows: usable videos by part.
        out: folder for lists.
        report: takes the counts.
        say: takes lines for the user.
    """

    source: Source
    rows: dict[str, tuple[Row, ...]]
    out: Path
    report: Report
    say: Callable[[str], None]

    def write(self, file_name: str, rows: Sequence[Row], wanted: int) -> None:
        """Write a list and say how many of the videos that it should have it has."""
        write_list(self.out / file_name, [(row.path, row.label) for row in rows])
        self.say(self.report.add_list(file_name, len(rows), wanted))

    def annotated(self, part: str, labels: Sequence[int]) -> int:
        """Number of annotated videos of some classes."""
        listing = self.source.listing(part)
        assert listing is not None
        return sum(entry.label in labels for entry in listing.entries)


def write_subsets(usable: Usable, options: SubsetOptions) -> None:
    """Write all subsets that the dataset is used with.

    Raises:
        DataError: a published list does not fit the dataset.
        ConfigError: two published lists would have one name.
    """
    name = usable.source.name
    if name in FEW_SHOT:
        _write_few_shot(usable, options)
    if name in ZERO_SHOT:
        _write_zero_shot(usable, options)
    if name in BASE_NOVEL:
        _write_base_novel(usable, options.seeds)


def _write_few_shot(usable: Usable, options: SubsetOptions) -> None:
    source, rows = usable.source, usable.rows['train_split_1']
    for seed in options.seeds:
        for shots in options.shots:
            file_name = f'{source.name}_train_split_1_{shots}shot_seed{seed}_videos.txt'
            usable.write(file_name, draw_shots(rows, shots, seed), shots * len(source.classes))
    training = source.listing('train_split_1')
    assert training is not None
    orders = [source.classes]
    if source.name == 'hmdb51':
        orders = [load_class_names(f'hmdb51_{order}') for order in ('mmaction2', 'xclip')]
    written: dict[str, Path] = {}
    for file in options.few_shot_lists:
        found = published.read_shots(file, training, orders, source.classes)
        file_name = f'{source.name}_train_split_1_{found.shots}shot_published_videos.txt'
        if file_name in written:
            raise ConfigError(
                f'--few-shot-list {written[file_name]} and {file} are both of {found.shots} shots '
                f'and would both be {file_name}; give them in two runs, with two --out'
            )
        written[file_name] = file
        usable.write(file_name, published.select(found, rows), len(found.names))


def _write_zero_shot(usable: Usable, options: SubsetOptions) -> None:
    source = usable.source
    if 'val' not in usable.rows:
        usable.say('no zero-shot splits: they need the validation videos')
        return
    splits = [zero_shot.read_classes(file) for file in options.zeroshot_lists]
    splits = splits or [zero_shot.draw_classes(seed) for seed in options.seeds]
    for number, names in enumerate(splits, start=1):
        stem = f'{source.name}_zeroshot_split_{number}'
        labels = [source.classes.index(name) for name in names]
        write_classes(usable.out / f'{stem}_classes.csv', names)
        rows = base_novel.relabelled(usable.rows['val'], labels)
        usable.write(f'{stem}_videos.txt', rows, usable.annotated('val', labels))


def _write_base_novel(usable: Usable, seeds: Sequence[int]) -> None:
    source, name = usable.source, usable.source.name
    training = source.listing('train', 'train_split_1')
    validation = source.listing('val', 'val_split_1')
    if training is None:
        usable.say('no base and novel classes: they need the annotation of the training videos')
        return
    base, novel = base_novel.split_classes(training.entries, source.classes)
    for kind, labels in (('base', base), ('novel', novel)):
        names = [source.classes[label] for label in labels]
        write_classes(usable.out / f'{name}_{kind}_classes.csv', names)
        if validation is not None and validation.part in usable.rows:
            rows = base_novel.relabelled(usable.rows[validation.part], labels)
            wanted = usable.annotated(validation.part, labels)
            usable.write(f'{name}_{kind}_val_videos.txt', rows, wanted)
    if training.part in usable.rows:
        rows = base_novel.relabelled(usable.rows[training.part], base)
        for seed in seeds:
            file_name = f'{name}_base_train_{base_novel.SHOTS}shot_seed{seed}_videos.txt'
            drawn = draw_shots(rows, base_novel.SHOTS, seed)
            usable.write(file_name, drawn, base_novel.SHOTS * len(base))
