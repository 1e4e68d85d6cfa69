"""Tables: the layout of the paper's, beside what is published, for every shipped config."""

import csv
import io
import json
from pathlib import Path

import pytest

from mmxclip.apis.launch import load_config
from mmxclip.protocols import tables
from mmxclip.protocols.plan import make_plan
from mmxclip.protocols.report import Report, make_report, published_for
from mmxclip.protocols.results import Outcome

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def report(name, shape=(1, 3, 32, 224, 224), **changes) -> Report:
    """A report of a shipped config, as if each run had come to a number of its own."""
    path = str(CONFIGS / f'{name}.py')
    cfg = load_config(path)
    plan = make_plan(cfg, path, cfg.protocol.name)
    outcomes = []
    for run in plan.runs:
        for evaluation in run.evaluations:
            number = float(len(outcomes))
            trained = dict(checkpoint='epoch_50.pth', length='50 epochs', seed=7, videos=102)
            facts = dict(
                metrics=dict(top1=number, top5=50 + number, mean1=2 * number),
                videos=100,
                unreadable=0,
                input=list(shape),
                template='{}',
                trained=trained if plan.train else None,
            )
            outcomes.append(Outcome(run.name, run.values, evaluation, **facts | changes))
    return make_report(cfg, path, plan, 'none', outcomes, published_for(plan, name))


def methods(made):
    headings, rows = tables.paper_grid(made)
    return headings, {row[0]: row[1:] for row in rows}


def test_zeroshot():
    made = report('xclip_b16_f32_hmdb51_zeroshot')
    headings, rows = methods(made)
    assert headings == ['method', 'whose', 'top-1', 'top-5']
    assert rows[made.config] == ['this run', '1.0 ± 1.0', '51.0 ± 1.0']
    assert rows['X-CLIP-B/16, 32 frames'][1:] == ['44.6 ± 5.2', '–']
    assert rows['E2E'][1:] == ['32.7', '–']
    assert made.facts['classes'] == 'hmdb51 in the order of mmaction2'
    assert made.facts['videos'] == '300 of 300 listed could be read'


def test_zeroshot_on_other_classes_of_each_split():
    made = report('xclip_b16_f32_k600_zeroshot')
    _, rows = methods(made)
    assert rows['X-CLIP-B/16, 32 frames'][1:] == ['65.2 ± 0.4', '86.1 ± 0.8']
    assert made.facts['classes'].count('_classes.csv') == 3


def test_fewshot():
    made = report('xclip_b16_f32_hmdb51_2shot')
    headings, rows = methods(made)
    assert headings == ['method', 'whose', 'K=2', 'K=4', 'K=8', 'K=16']
    assert rows[made.config][1:] == ['1.0 ± 1.0', '4.0 ± 1.0', '7.0 ± 1.0', '10.0 ± 1.0']
    assert rows['Swin-B'][1:] == ['20.9', '41.3', '47.9', '56.1']
    own = [row for name, row in rows.items() if name.startswith('X-CLIP-B/16')]
    assert [row[1:] for row in own] == [['53.0', '57.3', '62.8', '64.0']]


def test_base2novel():
    made = report('xclip_b16_f32_ucf101_base2novel')
    headings, rows = methods(made)
    assert headings == ['method', 'whose', 'Base', 'Novel', 'HM']
    assert rows[made.config][1:] == ['2.0 ± 2.0', '3.0 ± 2.0', '2.4']
    assert len(rows) > 1
    assert 'harmonic mean 2ab / (a + b) of the means' in tables.numbers_of(made)


def test_supervised():
    made = report('xclip_b16_k400', shape=(12, 3, 8, 224, 224))
    headings, rows = methods(made)
    assert headings == ['method', 'whose', 'views', 'top-1', 'top-5']
    assert rows[made.config][1] == '4x3 views'
    assert rows['X-CLIP-B/16, 8 frames'][1:] == ['4x3 views', '83.8', '96.7']
    assert list(rows) == [made.config, 'X-CLIP-B/16, 8 frames']
    assert made.facts['input'] == '8 frames of 224x224, 4x3 views'


def test_whose_tells_measured_from_quoted():
    made = report('xclip_b16_f32_hmdb51_zeroshot')
    _, rows = methods(made)
    assert [name for name, row in rows.items() if row[0] == 'this run'] == [made.config]
    assert all(row[0] == 'as published' for name, row in rows.items() if name != made.config)
    for text in (tables.to_markdown(made), tables.to_text(made)):
        assert text.count('Rows "as published" are not of this run: X-CLIP paper') == 1


def test_nothing_is_published():
    made = report('xclip_b16_hmdb51', shape=(12, 3, 8, 224, 224))
    assert not made.published
    assert 'No results are published for this protocol' in tables.to_markdown(made)


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        (dict(unreadable=2), '294 of 300 listed could be read; the other 6 count as wrong'),
        (dict(template=None), 'no text tower'),
        (dict(template='a video of {}'), "'a video of {}', {} being the name"),
        (dict(input=[8, 3, 224, 224]), 'shape [8, 3, 224, 224], views unknown'),
        (dict(input=None), 'shape None, views unknown'),
        (dict(input=[3, 3, 8, 32, 64]), '8 frames of 64x32, 1x3 views'),
    ],
)
def test_facts(changes, text):
    assert text in report('xclip_b16_f32_hmdb51_zeroshot', **changes).facts.values()


def test_epochs_and_weights_are_told():
    facts = report('xclip_b16_f32_hmdb51_2shot').facts
    assert facts['training'] == '50 epochs, the last checkpoint of each run is tested'
    assert facts['weights'].startswith('those of the config: load_from=None, init_cfg={')


def test_markdown_is_a_table_whatever_is_in_it():
    made = report('xclip_b16_f32_hmdb51_zeroshot')
    odd = Report(made.plan, 'a|b [red]c[/red]', *list(vars(made).values())[2:])
    lines = tables.to_markdown(odd).splitlines()
    assert any(line.startswith(r'| a\|b [red]c[/red] ') for line in lines)
    first = next(i for i, line in enumerate(lines) if line.startswith('| method'))
    assert set(lines[first + 1]) == {'|', '-'}
    assert lines[first - 1] == ''


def test_text_is_not_broken_into_lines():
    made = report('xclip_b16_f32_hmdb51_zeroshot')
    line = next(line for line in tables.to_text(made).splitlines() if 'X-CLIP-B/16' in line)
    assert 'this run' not in line
    assert '44.6 ± 5.2' in line


def test_json_and_csv_agree():
    made = report('xclip_b16_f32_ucf101_base2novel')
    data = json.loads(tables.to_json(made))
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(made))))
    summary = [row for row in rows if row['kind'] == 'summary']
    assert [float(row['value']) for row in summary] == [e['value'] for e in data['summary']]
    assert sum(row['kind'] == 'published' for row in rows) == len(data['published']) > 0


def test_files_are_whole_or_absent(tmp_path, monkeypatch):
    made = report('xclip_b16_f32_hmdb51_zeroshot')
    written = tables.write_all(made, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(p.name for p in written)
    tables.remove_all(tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(tables.FORMATS, 'json', lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tables.write_all(made, tmp_path)
    assert not list(tmp_path.iterdir())
