"""``tools/protocol.py`` as a command: how it is used, and how it fails."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USE = 'run.py', 'model.pth'


@pytest.mark.parametrize(
    ('args', 'complaint'),
    [
        ([], 'the following arguments are required: PROTOCOL'),
        (['oneshot', *USE], "invalid choice: 'oneshot'"),
        (['zeroshot', 'run.py'], 'the following arguments are required: checkpoint'),
        (['fewshot', *USE, '--axes', 'shots'], "'shots' is not of the form axis=value,value"),
        (['fewshot', *USE, '--axes', 'shots='], "'shots=' is not of the form axis=value,value"),
        (['fewshot', *USE, '--axes', 'seed=0,,1'], "'seed=0,,1' is not of the form"),
        (['fewshot', *USE, '--axes', 'seed=0', 'seed=1'], "'seed' is given twice"),
        (['zeroshot', *USE, '--format', 'xlsx'], "invalid choice: 'xlsx'"),
        (['zeroshot', *USE, '--launcher', 'ssh'], "invalid choice: 'ssh'"),
        (['zeroshot', *USE, '--cfg-options', 'lr'], "'lr' is not of the form key=value"),
        (['zeroshot', *USE, '--test-only'], 'unrecognized arguments: --test-only'),
        (['zeroshot', *USE, '--fresh', '--retest'], 'not allowed with argument --fresh'),
    ],
)
def test_wrong_use_has_exit_code_2(run_tool, args, complaint):
    done = run_tool('protocol.py', *args)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]


@pytest.mark.parametrize('name', ['zeroshot', 'fewshot', 'base2novel', 'supervised'])
def test_help_of_each(run_tool, name):
    done = run_tool('protocol.py', name, '-h')
    assert done.returncode == 0
    for option in ('--work-dir', '--axes', '--fresh', '--retest', '--launcher {none,pytorch,slurm'):
        assert option in done.stdout
    assert ('--test-only' in done.stdout) == (name == 'supervised')


def test_config_without_protocol_is_one_line(run_tool, tiny_config, tmp_path):
    done = run_tool('protocol.py', 'fewshot', tiny_config, 'x.pth', '--work-dir', tmp_path / 'out')
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith('mmxclip')]
    assert line.startswith(f"mmxclip: error: config '{tiny_config}' has no protocol; add protocol=")
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_launcher_without_its_processes(run_tool):
    config = ROOT / 'configs' / 'xclip_b16_f32_hmdb51_2shot.py'
    done = run_tool('protocol.py', 'fewshot', config, 'none', '--launcher', 'pytorch')
    assert done.returncode == 1
    assert 'not in the environment; start the tool by torchrun' in done.stderr
