"""Every config is listed once, with what is published of it and nothing else."""

from pathlib import Path

import yaml

from mmxclip.zoo import published_models, results_of

ROOT = Path(__file__).parents[2]
METRICS = {'Top 1 Accuracy': 'top1', 'Top 5 Accuracy': 'top5'}


def entries():
    models = yaml.safe_load((ROOT / 'configs/metafile.yml').read_text())['Models']
    return {model['Name']: model for model in models}


def test_each_config_has_one_entry():
    text = (ROOT / 'configs/metafile.yml').read_text()
    names = [line.split(': ')[1] for line in text.splitlines() if line.startswith('  - Name: xcl')]
    assert len(names) == len(set(names))
    assert set(entries()) == {path.stem for path in (ROOT / 'configs').glob('*.py')}


def test_paths():
    for name, model in entries().items():
        assert model['Config'] == f'configs/{name}.py'


def test_weights_are_the_published_files():
    models = published_models()
    for name, model in entries().items():
        assert model['Weights'] == (models[name].weights if name in models else None)


def test_results_are_the_published_ones_and_say_so():
    for name, model in entries().items():
        found = [
            (METRICS.get(metric, 'top1'), value)
            for result in model.get('Results', [])
            for metric, value in result['Metrics'].items()
        ]
        assert found == [(row.metric, row.value) for row in results_of(name)]
        if found:
            assert 'not measured' in model['Metadata']['Results of']
