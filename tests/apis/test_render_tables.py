"""Tables for people and for programs."""

import csv
import io
import json

import pytest

from mmxclip.apis.tables import FORMATS, render

ROWS = [
    dict(name='a|b [red]', count=12345, share=0.126, note=None),
    dict(name='Ausfallschritt, 做饭', count=7, share=10.0, note=True),
]


def test_markdown():
    lines = render(ROWS, 'markdown').splitlines()
    assert len(lines) == 4
    cells = [[c.strip() for c in line.replace(r'\|', '¦').strip('|').split('|')] for line in lines]
    assert cells[0] == ['name', 'count', 'share', 'note']
    assert cells[2] == ['a¦b [red]', '12,345', '0.13', '']
    assert cells[3] == ['Ausfallschritt, 做饭', '7', '10.00', 'yes']
    assert '|      7 |' in lines[3]  # numbers stand to the right


def test_table_has_no_edge_and_no_colour():
    text = render(ROWS)
    assert '\x1b' not in text
    assert '12,345' in text
    assert len(text.splitlines()) == 4


def test_csv_keeps_all_digits():
    rows = list(csv.DictReader(io.StringIO(render(ROWS, 'csv'))))
    assert rows[0] == dict(name='a|b [red]', count='12345', share='0.126', note='')
    assert rows[1]['name'] == 'Ausfallschritt, 做饭'


def test_json():
    assert json.loads(render(ROWS, 'json')) == ROWS
    assert [json.loads(line) for line in render(ROWS, 'jsonl').splitlines()] == ROWS


@pytest.mark.parametrize('fmt', FORMATS)
def test_nothing_to_show(fmt):
    assert render([], fmt) in ('', '[]')
