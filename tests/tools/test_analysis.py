"""Tools that draw runs and confusions, as a user runs them."""

import json

import matplotlib.image
import pytest


def test_plot_of_a_training(run_tool, trained, tmp_path):
    done = run_tool('analysis/plot_curves.py', trained[1], '-o', tmp_path / 'curves.png')
    assert done.returncode == 0, done.stderr
    picture = matplotlib.image.imread(tmp_path / 'curves.png')
    assert picture[..., :3].std() > 0.05  # something is drawn
    assert [path.name for path in tmp_path.iterdir()] == ['curves.png']


def test_confusions_of_a_test_and_of_its_dump_agree(run_tool, trained, tiny_config, tmp_path):
    checkpoint, dump = trained[1] / 'epoch_1.pth', tmp_path / 'out.pkl'
    done = run_tool('test.py', tiny_config, checkpoint, '--work-dir', tmp_path, '--dump', dump)
    assert done.returncode == 0, done.stderr
    tool, sheets = 'analysis/confusion_matrix.py', []
    answers = []
    for inputs in ([dump], [tiny_config, checkpoint]):
        sheet, picture = tmp_path / f'{len(sheets)}.csv', tmp_path / f'{len(sheets)}.svg'
        done = run_tool(tool, *inputs, '--csv', sheet, '-o', picture, '--format', 'json')
        assert done.returncode == 0, done.stderr
        sheets.append(sheet.read_text())
        answers.append(json.loads(done.stdout))
        assert picture.read_text().startswith('<?xml')
    assert sheets[0] == sheets[1]
    assert answers[0] == answers[1]
    counts = [list(map(int, row.split(',')[1:])) for row in sheets[0].splitlines()[1:]]
    assert sum(map(sum, counts)) == 8
    assert sum(row['videos'] for row in answers[0]) == counts[0][1] + counts[1][0]


@pytest.mark.parametrize(
    ('args', 'code', 'complaint'),
    [
        (['plot_curves.py', 'absent.json', '-o', 'x.png'], 1, 'scalars absent.json cannot be read'),
        (['plot_curves.py', 'absent.json', '-o', 'x.bmp'], 1, "picture 'x.bmp' ends in none of"),
        (
            ['plot_curves.py', 'a', 'b', '--names', 'c', '-o', 'x.png'],
            2,
            'as many different --names',
        ),
        (
            ['confusion_matrix.py', 'absent.pkl', '-o', 'x.png'],
            1,
            'predictions absent.pkl cannot be',
        ),
        (['confusion_matrix.py', 'run.py'], 2, 'a CONFIG needs a CHECKPOINT'),
        (['confusion_matrix.py', 'a', 'b', 'c'], 2, 'give one FILE.pkl, or CONFIG and CHECKPOINT'),
        (['confusion_matrix.py', 'a.pkl', '--top', '0'], 2, 'whole number from 1'),
    ],
)
def test_wrong_use(run_tool, tmp_path, args, code, complaint):
    done = run_tool(f'analysis/{args[0]}', *args[1:], cwd=tmp_path)
    assert done.returncode == code
    assert complaint in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr
    assert list(tmp_path.iterdir()) == []
