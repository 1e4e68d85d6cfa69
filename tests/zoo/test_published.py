"""Published numbers: complete, with sources, and of configs that exist."""

from pathlib import Path

import pytest

from mmxclip.zoo import published, published_models, results_of
from mmxclip.zoo.published import all_results

CONFIGS = {path.stem for path in (Path(__file__).parents[2] / 'configs').glob('*.py')}


def value(config, setting, metric='top1'):
    (found,) = [r for r in results_of(config) if (r.setting, r.metric) == (setting, metric)]
    return found.value


def test_configs_exist():
    assert {result.config for result in all_results()} - {None} <= CONFIGS
    assert set(published_models()) <= CONFIGS


def test_no_number_twice():
    keys = [(r.method, r.protocol, r.benchmark, r.setting, r.metric) for r in all_results()]
    assert len(keys) == len(set(keys))


def test_every_number_is_a_percentage_with_a_source():
    for result in all_results():
        assert 0 < result.value < 100
        assert result.std is None or 0 < result.std < 10
        assert result.source


def test_headline_numbers():
    assert value('xclip_b16_k400', '4x3 views') == 83.8
    assert value('xclip_l14_336_f16_k400', '4x3 views') == 87.7
    assert value('xclip_l14_k600', '4x3 views') == 88.3
    assert value('xclip_b16_f32_hmdb51_zeroshot', 'mean of splits') == 44.6
    assert value('xclip_b16_f32_k600_zeroshot', 'mean of splits', 'top5') == 86.1
    assert value('xclip_b16_f32_ucf101_16shot', '16') == 91.4
    assert value('xclip_b16_f32_ssv2_base2novel', 'hm') == 7.4


def test_conflict_between_paper_and_code_is_told():
    (top5,) = [r for r in results_of('xclip_b16_k400') if r.metric == 'top5']
    assert '95.7' in top5.source


@pytest.mark.parametrize(
    ('protocol', 'benchmark', 'settings'),
    [
        ('zeroshot', 'hmdb51', {'mean of splits'}),
        ('fewshot', 'ucf101', {'2', '4', '8', '16'}),
        ('base2novel', 'ssv2', {'base', 'novel', 'hm'}),
        ('supervised', 'kinetics600', {'4x3 views', '1x3 views', '5x1 views', '10x5 views'}),
    ],
)
def test_rows_of_a_protocol(protocol, benchmark, settings):
    rows = published(protocol, benchmark)
    assert {row.setting for row in rows} == settings
    assert any(row.config for row in rows)


def test_harmonic_means_are_those_of_base_and_novel():
    """A slip in copying any of the three would show."""
    table = {}
    for row in all_results():
        if row.protocol == 'base2novel':
            table.setdefault((row.method, row.benchmark), {})[row.setting] = row.value
    assert len(table) > 40
    for method, row in table.items():
        # each of the three is rounded to a digit
        expected = 2 * row['base'] * row['novel'] / (row['base'] + row['novel'])
        assert row['hm'] == pytest.approx(expected, abs=0.1), method


def test_top5_is_above_top1():
    rows = {(r.method, r.protocol, r.benchmark, r.setting, r.metric): r for r in all_results()}
    compared = 0
    for (*key, metric), row in rows.items():
        if metric == 'top5':
            assert row.value > rows[(*key, 'top1')].value, key
            compared += 1
    assert compared > 30


def test_sources_are_named_alike():
    sources = {row.source.split(';')[0] for row in all_results()}
    assert sources == {
        *(f'X-CLIP paper (arXiv:2208.02816), table {number}' for number in range(1, 6)),
        *('README of FROSTER', 'README of FROSTER, which repeats rows of other authors'),
        *('README of ViFi-CLIP', 'README of TC-CLIP'),
    }


def test_nothing_is_known_of_others():
    assert published('supervised', 'hmdb51') == ()


def test_weights_are_files_that_can_be_loaded():
    models = published_models()
    assert models['xclip_b16_k400'].weights.endswith('/v1.0/k400_16_8.pth')
    assert models['xclip_l14_k400'].weights is None  # on a page only
    assert models['xclip_l14_k400'].page
    for model in models.values():
        assert bool(model.weights) != bool(model.page)
