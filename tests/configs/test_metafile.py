"""Every config is listed once, with what is published of it, what it costs, and nothing else."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmxclip.zoo import published_models, results_of
from mmxclip.zoo.report import cost_row

ROOT = Path(__file__).parents[2]
METRICS = {
    'Top 1 Accuracy': 'top1',
    'Top 5 Accuracy': 'top5',
    'Base Top 1 Accuracy': 'base',
    'Novel Top 1 Accuracy': 'novel',
    'Harmonic Mean of Base and Novel': 'hm',
}
TEXT = (ROOT / 'configs/metafile.yml').read_text(encoding='utf-8')
MODELS = yaml.safe_load(TEXT)['Models']
ENTRIES = {model['Name']: model for model in MODELS}
entries = pytest.mark.parametrize('name', ENTRIES)


def test_each_config_has_one_entry():
    assert len(ENTRIES) == len(MODELS)
    assert set(ENTRIES) == {path.stem for path in (ROOT / 'configs').glob('*.py')}


@entries
def test_path(name):
    assert ENTRIES[name]['Config'] == f'configs/{name}.py'


@entries
def test_weights_are_the_published_files(name):
    model = published_models().get(name)
    assert ENTRIES[name]['Weights'] == (model.weights if model else None)


@entries
def test_results_are_the_published_ones_and_say_so(name):
    found = [
        (METRICS[metric], value)
        for result in ENTRIES[name].get('Results', [])
        for metric, value in result['Metrics'].items()
    ]
    results = results_of(name)
    assert found == [
        (row.setting if row.protocol == 'base2novel' else row.metric, row.value) for row in results
    ]
    for row in results:
        whose = ENTRIES[name]['Metadata']['Results of']
        assert 'not measured with this package' in whose
        theirs = row.source.startswith('X-CLIP paper')
        assert whose.startswith('the authors' if theirs else 'other authors')


@pytest.mark.parametrize('name', [name for name in ENTRIES if 'tiny' not in name])
def test_size_and_cost_are_those_that_the_tool_counts(name):
    told = ENTRIES[name]['Metadata']
    path = ROOT / ENTRIES[name]['Config']
    cost = cost_row(str(path), Config.fromfile(path))
    assert told['Parameters'] / 1e6 == cost['params (M)']
    assert told['FLOPs'] / 1e9 == cost['GMACs']
    assert told['Frames'] == cost['frames']
    assert told['Resolution'] == '{0}x{0}'.format(cost['pixels'])
