"""A report as JSON, CSV, Markdown and text for a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmxclip.protocols.records import write_whole
from mmxclip.protocols.report import Report
from mmxclip.protocols.results import HM, SPLITS, Estimate
from mmxclip.zoo.published import PublishedResult

OURS, AUTHORS = 'this run', 'as published'
NAMES = {'top1': 'top-1', 'top5': 'top-5', 'mean1': 'mean class'}
CSV_COLUMNS = (
    *('kind', 'method', 'run', 'evaluation', 'setting', 'metric', 'value', 'std', 'n'),
    *('videos', 'unreadable', 'source'),
)


class Column(NamedTuple):
    """One column of numbers; ``setting`` is None where a row has one of its own."""

    heading: str
    setting: str | None
    metric: str


class Grid(NamedTuple):
    """A table of texts, the first row of which are headings."""

    headings: list[str]
    rows: list[list[str]]


def to_json(report: Report) -> str:
    """Everything, numbers with all their digits."""
    return json.dumps(report.to_dict(), indent=2) + '\n'


def to_csv(report: Report) -> str:
    """One number a row: of each run, of the summary, and as published."""
    file = io.StringIO()
    writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator='\n')
    writer.writeheader()
    for outcome in report.outcomes:
        for metric, value in outcome.metrics.items():
            writer.writerow(
                dict(
                    kind='run',
                    method=report.config,
                    run=outcome.run,
                    evaluation=outcome.evaluation,
                    metric=metric,
                    value=value,
                    videos=outcome.videos,
                    unreadable=outcome.unreadable,
                )
            )
    for entry in report.estimates:
        writer.writerow(
            dict(
                kind='summary',
                method=report.config,
                setting=entry.setting,
                metric=entry.metric,
                value=entry.value,
                std=entry.std,
                n=entry.n,
            )
        )
    for row in report.published:
        writer.writerow(
            dict(
                kind='published',
                method=row.method,
                setting=row.setting,
                metric=row.metric,
                value=row.value,
                std=row.std,
                source=row.source,
            )
        )
    return file.getvalue()


def to_markdown(report: Report) -> str:
    """Facts, the paper's table with this run beside what is published, and all runs."""
    lines = [f'# {report.title}', '']
    lines += [f'- {name}: {_escape(text)}' for name, text in report.facts.items()]
    lines += [f'- numbers: {numbers_of(report)}', '']
    lines += [_draw(paper_grid(report), markdown=True), '', f'{sources_of(report)}.', '']
    lines += ['## Runs', '', _draw(run_grid(report), markdown=True), '']
    return '\n'.join(lines)


def to_text(report: Report) -> str:
    """The same for a terminal."""
    lines = [report.title]
    lines += [f'{name}: {text}' for name, text in report.facts.items()]
    lines += [f'numbers: {numbers_of(report)}', '', _draw(paper_grid(report), markdown=False), '']
    lines += [sources_of(report), '']
    if len(report.outcomes) > 1:
        lines += [_draw(run_grid(report), markdown=False), '']
    return '\n'.join(lines)


FORMATS = {'text': to_text, 'md': to_markdown, 'csv': to_csv, 'json': to_json}
FILES = {'md': 'protocol.md', 'csv': 'protocol.csv', 'json': 'protocol.json'}


def write_all(report: Report, work_dir: Path) -> list[Path]:
    """Write ``protocol.md``, ``.csv`` and ``.json``, each wholly or not at all."""
    texts = {work_dir / name: FORMATS[kind](report) for kind, name in FILES.items()}
    for path, text in texts.items():
        write_whole(path, text)
    return list(texts)


def remove_all(work_dir: Path) -> None:
    """Remove what an earlier protocol has written, which would not belong to the runs to come."""
    for name in FILES.values():
        (work_dir / name).unlink(missing_ok=True)


def numbers_of(report: Report) -> str:
    """What the numbers are."""
    text = 'accuracy in %'
    counts = sorted({entry.n for entry in report.estimates})
    if counts != [1]:
        text += (
            '; mean ± sample standard deviation (over n - 1) of n = '
            f'{", ".join(map(str, counts))} runs'
        )
    if report.plan.protocol == 'base2novel':
        text += '; HM is the harmonic mean 2ab / (a + b) of the means of base and novel'
    return text


def sources_of(report: Report) -> str:
    """Where the published rows are from; each source once."""
    if not report.published:
        return 'No results are published for this protocol on this benchmark'
    sources = dict.fromkeys(row.source for row in report.published)
    return f'Rows "{AUTHORS}" are not of this run: {"; ".join(sources)}'


def columns_of(report: Report) -> list[Column]:
    """Columns in the layout of the paper's table for the protocol."""
    protocol, estimates = report.plan.protocol, report.estimates
    if protocol == 'fewshot':
        settings = dict.fromkeys(entry.setting for entry in estimates)
        return [Column(f'K={setting}', setting, 'top1') for setting in settings]
    if protocol == 'base2novel':
        return [Column(name, name.lower(), 'top1') for name in ('Base', 'Novel', HM.upper())]
    setting = SPLITS if protocol == 'zeroshot' else None
    metrics = dict.fromkeys(entry.metric for entry in estimates if entry.metric in ('top1', 'top5'))
    return [Column(NAMES[metric], setting, metric) for metric in metrics]


def paper_grid(report: Report) -> Grid:
    """One row for this run, one for each method that is published."""
    columns = columns_of(report)
    own_setting = report.plan.protocol == 'supervised'
    headings = ['method', 'whose', *['views'] * own_setting, *(c.heading for c in columns)]
    methods: dict[tuple[str, str, str], list[Estimate | PublishedResult]] = {}
    for entry in report.estimates:
        key = (report.config, OURS, entry.setting if own_setting else '')
        methods.setdefault(key, []).append(entry)
    for row in report.published:
        key = (row.method, AUTHORS, row.setting if own_setting else '')
        methods.setdefault(key, []).append(row)
    rows = []
    for (method, whose, setting), entries in methods.items():
        cells = [_cell(entries, column) for column in columns]
        if any(cells):
            rows.append([method, whose, *[setting] * own_setting, *(c or '–' for c in cells)])
    return Grid(headings, rows)


def run_grid(report: Report) -> Grid:
    """One row for each test."""
    metrics = list(dict.fromkeys(name for o in report.outcomes for name in o.metrics))
    trained = any(outcome.trained for outcome in report.outcomes)
    headings = ['run', 'test', *(NAMES.get(m, m) for m in metrics), 'videos', 'unreadable']
    headings += ['seed'] * trained
    rows = []
    for outcome in report.outcomes:
        numbers = [f'{outcome.metrics[m]:.2f}' if m in outcome.metrics else '–' for m in metrics]
        counts = [str(outcome.videos), str(outcome.unreadable)]
        seed = [str((outcome.trained or {}).get('seed', '–'))] * trained
        rows.append([outcome.run, outcome.evaluation, *numbers, *counts, *seed])
    return Grid(headings, rows)


def _cell(entries: Iterable[Estimate | PublishedResult], column: Column) -> str:
    for entry in entries:
        if entry.metric == column.metric and column.setting in (None, entry.setting):
            std = '' if entry.std is None else f' ± {entry.std:.1f}'
            return f'{entry.value:.1f}{std}'
    return ''


def _draw(grid: Grid, markdown: bool) -> str:
    """Let rich draw the table, as wide as it needs."""
    table = Table(box=box.MARKDOWN if markdown else box.SIMPLE)
    for index, heading in enumerate(grid.headings):
        justify = 'left' if index < 2 else 'right'
        table.add_column(Text(heading), justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for row in grid.rows:
        table.add_row(*(Text(_escape(cell) if markdown else cell) for cell in row))
    file = io.StringIO()
    Console(file=file, width=_width(grid.rows), color_system=None).print(table)
    # rich draws empty lines where its boxes have no edge
    lines = (line.rstrip() for line in file.getvalue().splitlines())
    return '\n'.join(line for line in lines if line)


def _width(rows: Sequence[Sequence[str]]) -> int:
    longest = max((sum(map(len, row)) for row in rows), default=0)
    return 2 * longest + 500


def _escape(text: str) -> str:
    """Keep a bar or a line break from ending a cell."""
    return ' '.join(text.split()).replace('|', r'\|')
