"""The models of the metafile, in short."""

from __future__ import annotations

from typing import Any

from mmengine.fileio import load

from mmxclip.apis.config_names import metafile
from mmxclip.errors import ConfigError
from mmxclip.zoo.published import published_models, results_of


def list_models(pattern: str = '') -> list[dict[str, Any]]:
    """Rows with name, training data, size and published accuracy.

    Args:
        pattern: a part of the names.

    Raises:
        ConfigError: when no name contains it.
    """
    entries = load(metafile())['Models']
    chosen = [entry for entry in entries if pattern in entry['Name']]
    if not chosen:
        raise ConfigError(
            f'no model has {pattern!r} in its name; mmxclip models without a pattern lists all'
        )
    return [_row(entry) for entry in chosen]


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    name, facts = entry['Name'], entry['Metadata']
    top1 = [  # base and novel classes were tested by others
        result.value
        for result in results_of(name)
        if result.metric == 'top1' and result.protocol != 'base2novel'
    ]
    published = published_models().get(name)
    return {
        'name': name,
        'trained on': facts['Training Data'],
        'frames': facts.get('Frames'),
        'pixels': facts.get('Resolution'),
        'params (M)': facts['Parameters'] / 1e6 if 'Parameters' in facts else None,
        'GFLOPs': facts['FLOPs'] / 1e9 if 'FLOPs' in facts else None,
        "authors' top-1": top1[0] if top1 else None,
        'weights': (published.weights or published.page) if published else None,
    }
