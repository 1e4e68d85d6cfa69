"""``mmxclip export``: a model as a file that runs without this package."""

from __future__ import annotations

import click

from mmxclip.cli.logs import only_warnings_to_stderr
from mmxclip.cli.wrong_use import WrongUse, wrong_use

FORMATS = ('onnx', 'torchscript', 'exported')


@click.command()
@click.argument('config')
@click.option('--checkpoint', help='weights: file, folder or https://; default: the published ones')
@click.option(
    '--format',
    'fmt',
    type=click.Choice(FORMATS),
    default='onnx',
    show_default=True,
    help='ONNX; TorchScript; an archive of torch.export',
)
@click.option('-o', '--output', metavar='FILE', required=True, help='written wholly or not at all')
@click.option('--labels', multiple=True, help='class names, split at commas; repeatable')
@click.option('--labels-file', help='the same from a file, one a line (or .csv: id,name)')
@click.option('--text-input', is_flag=True, help='embeddings of names are an input of the file')
@click.option(
    '--with-preprocessing/--without-preprocessing',
    'preprocessing',
    default=True,
    show_default=True,
    help='uint8 frames (N, T, H, W, 3), normalized within; or float32 (N, 3, T, H, W)',
)
@click.option(
    '--opset', type=click.IntRange(18, 23), help="version of ONNX's operators  [default: 18]"
)
@click.option(
    '--check/--no-check', default=True, show_default=True, help='compare with PyTorch first'
)
def export(
    config: str,
    checkpoint: str | None,
    fmt: str,
    output: str,
    labels: tuple[str, ...],
    labels_file: str | None,
    text_input: bool,
    preprocessing: bool,
    opset: int | None,
    check: bool,
) -> None:
    """Write a model as one file that runs without this package.

    CONFIG is the name of a shipped config or a path. The file scores the classes of
    the config, or --labels; its outputs are logits and probabilities. It is kept only
    if they differ from PyTorch's by at most 1e-4.

    \b
    Examples:
      mmxclip export xclip_b16_k400 -o xclip.onnx
      mmxclip export xclip_b16_k400 --labels "diving, swimming" -o sports.onnx
      mmxclip export my_config.py --checkpoint best.pth --text-input -o any_words.onnx
      mmxclip export xclip_b32_k400 --format torchscript -o xclip.pt
    """
    if bool(labels) + bool(labels_file) + text_input > 1:
        raise WrongUse('--labels, --labels-file and --text-input exclude each other; give one')
    if opset is not None and fmt != 'onnx':
        raise WrongUse(f'--opset is of ONNX and --format is {fmt}; drop one of them')
    names = _names(labels, labels_file)
    from mmxclip.apis.config_names import find_config
    from mmxclip.export.exporting import export_model
    from mmxclip.export.onnx import OPSET

    with wrong_use('CONFIG'):
        find_config(config)
    with only_warnings_to_stderr():
        done = export_model(
            config,
            output,
            fmt,
            checkpoint,
            labels=names,
            text_input=text_input,
            preprocessing=preprocessing,
            opset=opset or OPSET,
            check=check,
        )
    meta = done.metadata
    shape = ', '.join(map(str, ('N', *meta.shape)))
    classes = f'text_features (K, {meta.embed_dims})' if meta.text_input else ''
    click.echo(f'{output}: {fmt}, {done.path.stat().st_size / 1e6:.1f} MB')
    click.echo(f'  frames {meta.frames_dtype} ({shape})' + (f', {classes}' if classes else ''))
    click.echo(f'  {"K" if meta.text_input else len(meta.classes or ())} classes')
    if done.difference is not None:
        click.echo(
            f'  differs from PyTorch by {done.difference.logits:.1e} of the largest logit, '
            f'{done.difference.probabilities:.1e} in probabilities'
        )


def _names(labels: tuple[str, ...], labels_file: str | None) -> tuple[str, ...] | None:
    """Class names that are given; None for those of the config."""
    from mmxclip.inference.labels import read_labels, split_labels

    if labels:
        with wrong_use('--labels'):
            return split_labels(labels)
    if labels_file is not None:
        with wrong_use('--labels-file'):
            return read_labels(labels_file)
    return None
