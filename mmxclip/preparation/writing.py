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
from mmxclip.preparation.subsets.relabelling import relabelled

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
        wanted = set(labels)
        return sum(entry.label in wanted for entry in listing.entries)


class Subsets:
    """All subsets that a dataset is used with.

    Published files are read at once, so that a wrong one is found before the
    videos are looked at.

    Args:
        source: as annotated.
        options: which to make.

    Raises:
        DataError: a published list does not fit the dataset.
        ConfigError: two published lists would have one name.
    """

    def __init__(self, source: Source, options: SubsetOptions) -> None:
        self.options = options
        self.published_shots = _read_few_shot_lists(source, options.few_shot_lists)
        self.published_splits = [zero_shot.read_classes(file) for file in options.zeroshot_lists]

    def write(self, usable: Usable) -> None:
        """Write all lists and class files."""
        name = usable.source.name
        if name in FEW_SHOT:
            self._write_few_shot(usable)
        if name in ZERO_SHOT:
            self._write_zero_shot(usable)
        if name in BASE_NOVEL:
            self._write_base_novel(usable)

    def _write_few_shot(self, usable: Usable) -> None:
        source, rows = usable.source, usable.rows['train_split_1']
        for seed in self.options.seeds:
            for shots in self.options.shots:
                file_name = f'{source.name}_train_split_1_{shots}shot_seed{seed}_videos.txt'
                usable.write(file_name, draw_shots(rows, shots, seed), shots * len(source.classes))
        for file_name, found in self.published_shots.items():
            usable.write(file_name, published.select(found, rows), len(found.names))

    def _write_zero_shot(self, usable: Usable) -> None:
        source = usable.source
        if 'val' not in usable.rows:
            usable.say('no zero-shot splits: they need the validation videos')
            return
        splits = self.published_splits or [
            zero_shot.draw_classes(seed) for seed in self.options.seeds
        ]
        for number, names in enumerate(splits, start=1):
            stem = f'{source.name}_zeroshot_split_{number}'
            labels = [source.classes.index(name) for name in names]
            write_classes(usable.out / f'{stem}_classes.csv', names)
            rows = relabelled(usable.rows['val'], labels)
            usable.write(f'{stem}_videos.txt', rows, usable.annotated('val', labels))

    def _write_base_novel(self, usable: Usable) -> None:
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
                rows = relabelled(usable.rows[validation.part], labels)
                wanted = usable.annotated(validation.part, labels)
                usable.write(f'{name}_{kind}_val_videos.txt', rows, wanted)
        if training.part in usable.rows:
            rows = relabelled(usable.rows[training.part], base)
            for seed in self.options.seeds:
                file_name = f'{name}_base_train_{base_novel.SHOTS}shot_seed{seed}_videos.txt'
                drawn = draw_shots(rows, base_novel.SHOTS, seed)
                usable.write(file_name, drawn, base_novel.SHOTS * len(base))


def _read_few_shot_lists(
    source: Source, files: Sequence[Path]
) -> dict[str, published.PublishedShots]:
    """Published lists by the names under which they are written."""
    training = source.listing('train_split_1')
    orders = [source.classes]
    if source.name == 'hmdb51':
        orders = [load_class_names('hmdb51', order) for order in ('mmaction2', 'xclip')]
    origins: dict[str, Path] = {}
    lists = {}
    for file in files:
        assert training is not None
        found = published.read_shots(file, training, orders, source.classes)
        file_name = f'{source.name}_train_split_1_{found.shots}shot_published_videos.txt'
        if file_name in lists:
            raise ConfigError(
                f'--few-shot-list {origins[file_name]} and {file} are both of {found.shots} shots '
                f'and would both be {file_name}; give them in two runs, with two --out'
            )
        origins[file_name], lists[file_name] = file, found
    return lists
