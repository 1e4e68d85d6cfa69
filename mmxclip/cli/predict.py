"""``mmxclip predict``: label names of videos."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mmxclip.apis.reporting import text_of
from mmxclip.cli.logs import only_warnings_to_stderr, warn
from mmxclip.cli.wrong_use import WrongUse, wrong_use
from mmxclip.errors import DataError

if TYPE_CHECKING:
    from mmxclip.inference.results import VideoFailure, VideoPrediction
    from mmxclip.inference.writing import WholeFile

FORMATS = ('table', 'json', 'jsonl', 'csv', 'parquet')
WITH_ONNX = ('videos', 'onnx', 'top_k', 'fmt', 'output')
DTYPES = ('float32', 'bfloat16', 'float16')


@click.command()
@click.argument('videos', metavar='VIDEO...', nargs=-1, required=True)
@click.option('--labels', multiple=True, help='what may be seen, split at commas; repeatable')
@click.option('--labels-file', help='the same from a file, one a line (or .csv: id,name)')
@click.option('--template', help="text around a label, such as 'a video of {}'")
@click.option(
    '--model',
    default='xclip_b16_k400',
    show_default=True,
    help='name or path of a config; mmxclip models lists the names',
)
@click.option('--checkpoint', help='weights: file, folder or https://; default: the published ones')
@click.option('--onnx', metavar='FILE', help='of mmxclip export, in place of model and labels')
@click.option('--device', default='auto', show_default=True, help='auto, cpu, cuda, cuda:1, …')
@click.option('--dtype', type=click.Choice(DTYPES), help='precision; default: of the weights')
@click.option('--top-k', type=click.IntRange(1), default=5, show_default=True)
@click.option('--batch-size', type=click.IntRange(1), help='views at once; found by itself')
@click.option(
    '--views',
    type=click.Choice(('one', 'config')),
    default='one',
    show_default=True,
    help='one clip of a video, or as many as the config tests with',
)
@click.option(
    '--format',
    'fmt',
    type=click.Choice(FORMATS),
    help='default: by the ending of FILE, else table',
)
@click.option('-o', '--output', metavar='FILE', help='write there, wholly or not at all')
def predict(
    videos: tuple[str, ...],
    labels: tuple[str, ...],
    labels_file: str | None,
    template: str | None,
    model: str,
    checkpoint: str | None,
    onnx: str | None,
    device: str,
    dtype: str | None,
    top_k: int,
    batch_size: int | None,
    views: str,
    fmt: str | None,
    output: str | None,
) -> int:
    """Name what happens in videos.

    VIDEO is a file, a folder (searched to its depths), a pattern in quotes, or an
    https:// address. Without labels, the classes of the model's config are scored.
    Videos that cannot be read are listed at the end, with exit code 1.

    \b
    Examples:
      mmxclip predict dive.mp4 --labels "diving, swimming, surfing"
      mmxclip predict clips/ --labels-file actions.txt -o actions.csv
      mmxclip predict "holiday/**/*.mov" --top-k 1 --format jsonl | jq .video
      mmxclip predict dive.mp4 --model xclip_b32_k400 --checkpoint k400_32_8.pth
      mmxclip predict dive.mp4 --onnx xclip.onnx
    """
    if onnx is not None:
        _refuse_beside_onnx()
    fmt = _format(fmt, output)
    names = _labels(labels, labels_file)
    from mmxclip.apis.config_names import find_config
    from mmxclip.inference.gathering import gather
    from mmxclip.inference.writing import WholeFile

    with wrong_use('--model'):
        find_config(model)
    found, failures = gather(videos)
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_warnings_to_stderr())
        file = stack.enter_context(WholeFile(output)) if output else None
        if found and onnx is not None:
            from mmxclip.export.predicting import stream as stream_onnx
            from mmxclip.export.session import ExportedModel

            results = stream_onnx(ExportedModel.load(onnx), found, top_k)
            failures += _write(_with_progress(results, len(found)), fmt, file)
        elif found:
            from mmxclip.inference.computing import device_of
            from mmxclip.inference.video_classifier import VideoClassifier

            with wrong_use('--device'):
                target = device_of(device)
            classifier = VideoClassifier(model, checkpoint, target, dtype, batch_size, views)
            stack.callback(classifier.close)
            with wrong_use('--labels' if names else '--template'):
                stream = classifier.stream(found, names, top_k, template)
            failures += _write(_with_progress(stream, len(found)), fmt, file)
    for failure in failures:
        print(f'mmxclip: error: {text_of(failure.error)}', file=sys.stderr)  # noqa: T201
    return 1 if failures else 0


def _refuse_beside_onnx() -> None:
    """A file has its model and its labels within; what else is given would have no effect."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ''
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in WITH_ONNX:
            raise WrongUse(f'{parameter.opts[0]} has no effect beside --onnx; drop one of the two')


def _format(fmt: str | None, output: str | None) -> str:
    """The format that is asked for, by name or by the ending of the file."""
    from mmxclip.inference.writing import BY_ENDING, check_parquet

    if fmt is None:
        fmt = BY_ENDING.get(Path(output or '').suffix.lower(), 'table')
    if fmt == 'parquet':
        if output is None:
            raise WrongUse('--format parquet is written to files only; add --output FILE')
        check_parquet()
    return fmt


def _labels(labels: Sequence[str], labels_file: str | None) -> tuple[str, ...] | None:
    """Label names; None for the classes of the config."""
    from mmxclip.inference.labels import read_labels, split_labels, unfamiliar

    if labels and labels_file:
        raise WrongUse('--labels and --labels-file exclude each other; give one of them')
    names = None
    if labels:
        with wrong_use('--labels'):
            names = split_labels(labels)
    elif labels_file is not None:
        with wrong_use('--labels-file'):
            names = read_labels(labels_file)
    foreign = unfamiliar(names or ())
    if foreign:
        warn(
            f'{foreign[0]!r:.60} is not in Latin letters: CLIP has learned English and may know '
            'nothing of it'
        )
    return names


def _write(
    results: Iterator[VideoPrediction | VideoFailure], fmt: str, file: WholeFile | None
) -> list[VideoFailure]:
    """Print or write predictions; the failures among the results."""
    from mmxclip.inference.results import Predictions, VideoFailure
    from mmxclip.inference.writing import to_bytes, to_text

    good, failures = Predictions(), []
    for result in results:
        if isinstance(result, VideoFailure):
            failures.append(result)
            continue
        good.append(result)
        if fmt == 'jsonl' and file is None:  # a line is whole by itself
            _print(to_text(Predictions([result]), fmt))
    if file is not None:
        file.write(to_bytes(good, fmt))
    elif fmt != 'jsonl' and (good or fmt == 'json'):
        _print(to_text(good, fmt))
    return failures


def _print(text: str) -> None:
    """Print, or say that it is not possible."""
    try:
        click.echo(text)
    except BrokenPipeError:
        raise  # whoever reads has seen enough
    except OSError as error:
        raise DataError(
            f'standard output cannot be written ({error.strerror}); give --output FILE'
        ) from error


def _with_progress(items: Iterator[Any], total: int) -> Iterator[Any]:
    """The items, counted by a bar on standard error where that is a terminal."""
    if not sys.stderr.isatty() or total == 1:
        yield from items
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total, description='videos')
