"""``docs/bad_input.md`` lists every message that a user can meet, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'bad_input.md'
VALUE = '…'
ERRORS = {'ConfigError', 'DataError', 'CheckpointError'}


def template(node: ast.expr) -> str:
    """The text of an expression, with ``…`` for what is not known before it runs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(template(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    return VALUE


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the package's code, with its place."""
    for file in sorted((ROOT / 'mmxclip').rglob('*.py')):
        if '.mim' in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            place = f'{file.relative_to(ROOT)}:{getattr(node, "lineno", 0)}'
            yield place, node


def raised() -> dict[str, str]:
    """Texts of errors of this package by place, those left out that say nothing by themselves."""
    texts = {}
    for place, node in nodes():
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
            continue
        if getattr(node.exc.func, 'id', '') in ERRORS and node.exc.args:
            text = template(node.exc.args[0])
            if len(re.sub(r'\W', '', text)) >= 10:
                texts[place] = text
    return texts


def written() -> list[str]:
    """All texts in the code; long ones contain the short ones that they are made of."""
    kinds = (ast.Constant, ast.JoinedStr, ast.BinOp)
    return [template(node) for _, node in nodes() if isinstance(node, kinds)]


def rows() -> list[str]:
    """Messages in the first column of the page's tables."""
    return re.findall(r'^\| `([^`]+)` \|', PAGE.read_text(encoding='utf-8'), re.MULTILINE)


def bare(piece: str) -> str:
    """A piece without the marks around a value, which a line may put in elsewhere."""
    return piece.strip(' ();:')


def says(text: str, row: str) -> bool:
    """Whether all pieces of ``row`` stand in ``text``, in their order."""
    pieces = [re.escape(piece) for piece in map(bare, row.split(VALUE)) if piece]
    return re.search('.*'.join(pieces), text, re.DOTALL) is not None


def test_rows_were_found():
    assert len(rows()) > 100
    assert len(set(rows())) == len(rows())
    assert len(raised()) > 100


@pytest.mark.parametrize(
    ('text', 'row', 'expected'),
    [
        ('class … is empty (…); name it', 'class … is empty', True),
        ('… is empty, class', 'class … is empty', False),
        ('class … is full', 'class … is empty', False),
    ],
)
def test_comparison(text, row, expected):
    assert says(text, row) is expected


def test_every_error_is_on_the_page():
    known = rows()
    absent = [
        f'{place}: {text}'
        for place, text in raised().items()
        if not any(says(text, row) for row in known)
    ]
    assert not absent, '\n'.join(absent)


def test_every_row_is_in_the_code():
    texts = written()
    stale = [row for row in rows() if not any(says(text, row) for text in texts)]
    assert not stale, '\n'.join(stale)
