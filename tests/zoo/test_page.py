"""``docs/model_zoo.md`` says what the tool counts and what is published."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxclip.apis.tables import render
from mmxclip.zoo import published_models, results_of
from mmxclip.zoo.report import cost_row

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/model_zoo.md').read_text(encoding='utf-8')
CONFIGS = sorted((ROOT / 'configs').glob('xclip_[bl]*.py'))


def test_table_of_costs_is_that_of_the_tool():
    rows = [cost_row(str(path), Config.fromfile(path)) for path in CONFIGS]
    assert len(rows) == 27
    assert render(rows, 'markdown') in PAGE


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_on_the_page_with_its_numbers(path):
    (line,) = [
        line
        for line in PAGE.splitlines()
        if line.startswith('|') and f'../configs/{path.name})' in line
    ] or ['']
    mentioned = f'(../configs/{path.name})' in PAGE
    assert mentioned
    for result in results_of(path.stem):
        std = '' if result.std is None else f' ± {result.std:.1f}'
        assert f'{result.value:.1f}{std}' in line
    model = published_models().get(path.stem)
    if model is not None:
        assert (model.weights or model.page) in PAGE


def test_no_other_numbers():
    """Accuracies in tables of configs are published ones: none is written in by hand."""
    known = {f'{r.value:.1f}' for path in CONFIGS for r in results_of(path.stem)}
    known |= {f'{r.std:.1f}' for path in CONFIGS for r in results_of(path.stem) if r.std}
    lines = [line for line in PAGE.splitlines() if line.startswith('|') and 'configs/' in line]
    text = re.sub(r'\(http[^)]*\)|\([^)]*\.py\)', '', '\n'.join(lines))
    assert set(re.findall(r'\d+\.\d', text)) <= known
