"""``tools/train.py``: a run from start to end, and what ends it early."""

import json
import re

import pytest
import torch
from mmengine.config import Config


def epochs_trained(text: str) -> list[int]:
    """Return the epochs that the log in ``text`` reports, each once."""
    return sorted({int(epoch) for epoch in re.findall(r'Epoch\(train\) +\[(\d+)\]', text)})


class TestWholeRun:
    def test_last_line_is_the_accuracy(self, trained):
        done, work_dir = trained
        assert done.returncode == 0, done.stderr
        last = done.stdout.strip().splitlines()[-1]
        pattern = r'mmxclip: validation after epoch 1: acc/top1 ([01]\.\d{4}), acc/mean1 .*; best '
        top1 = re.match(pattern, last)
        assert top1, last
        (log,) = work_dir.glob('*/vis_data/scalars.json')
        logged = json.loads(log.read_text().splitlines()[-1])
        assert float(top1[1]) == pytest.approx(logged['acc/top1'], abs=5e-5)
        assert last.endswith(f'in {work_dir}/best_acc_top1_epoch_1.pth')

    def test_files(self, trained):
        _, work_dir = trained
        assert {path.name for path in work_dir.iterdir() if path.is_file()} == {
            'best_acc_top1_epoch_1.pth',
            'epoch_1.pth',
            'last_checkpoint',
            'tiny_tsn.py',
        }

    def test_seed_of_the_command_line_wins(self, trained, tiny_config):
        _, work_dir = trained
        assert Config.fromfile(tiny_config, import_custom_modules=False).randomness.seed == 7
        assert (
            Config.fromfile(work_dir / 'tiny_tsn.py', import_custom_modules=False).randomness.seed
            == 3
        )

    def test_resume_goes_on_after_the_last_checkpoint(self, run_tool, trained, tmp_path):
        """The dumped config of a run starts it again; ``--resume`` names where from."""
        _, work_dir = trained
        done = run_tool(
            *('train.py', work_dir / 'tiny_tsn.py', '--work-dir', tmp_path),
            *('--resume', work_dir / 'epoch_1.pth', '--cfg-options', 'train_cfg.max_epochs=2'),
        )
        assert done.returncode == 0, done.stderr
        assert epochs_trained(done.stdout) == [2]
        assert 'mmxclip: validation after epoch 2: ' in done.stdout

    @pytest.mark.skipif(torch.cuda.is_available(), reason='says what happens on a CPU')
    def test_amp_and_no_validate(self, run_tool, xclip_config, tmp_path):
        done = run_tool('train.py', xclip_config, '--amp', '--no-validate', '--work-dir', tmp_path)
        assert done.returncode == 0, done.stderr
        assert epochs_trained(done.stdout) == [1]
        assert 'AmpOptimWrapper is replaced by CPUAmpOptimWrapper' in done.stdout
        assert done.stdout.strip().splitlines()[-1] == (
            f'mmxclip: trained without validation; checkpoints are in {tmp_path}'
        )

    def test_two_processes(self, run_tool, xclip_config, tmp_path):
        """Each of two ranks sees half of the 8 clips; on a CPU they meet through gloo."""
        done = run_tool('dist_train.sh', xclip_config, 2, '--work-dir', tmp_path)
        assert done.returncode == 0, done.stderr
        assert re.search(r'Epoch\(train\) +\[1\]\[1/1\]', done.stdout)
        assert done.stdout.count('mmxclip: validation after epoch 1: ') == 1
        assert (tmp_path / 'epoch_1.pth').is_file()


class TestOneLine:
    """What a user can mend ends in one line on stderr and exit code 1."""

    @staticmethod
    def complaint(done) -> str:
        """Return the line; the rest of stderr may hold warnings of libraries."""
        assert done.returncode == 1, done.stderr
        assert 'Traceback' not in done.stderr
        lines = [line for line in done.stderr.splitlines() if line.startswith('mmxclip')]
        assert len(lines) == 1, done.stderr
        return lines[0]

    def test_absent_config(self, run_tool):
        line = self.complaint(run_tool('train.py', 'absent.py'))
        assert line == "mmxclip: error: config 'absent.py' is no file; give the path of a config"

    def test_work_dir_below_a_file(self, run_tool, tiny_config, tmp_path):
        (tmp_path / 'file').write_text('')
        folder = tmp_path / 'file' / 'run'
        line = self.complaint(run_tool('train.py', tiny_config, '--work-dir', folder))
        assert line.startswith(f"mmxclip: error: work_dir '{folder}' is not writable")
        assert line.endswith('give another with --work-dir')
        assert list(tmp_path.iterdir()) == [tmp_path / 'file']

    def test_data_that_breaks_in_a_worker(self, run_tool, tiny_config, tmp_path):
        done = run_tool(
            *('train.py', tiny_config, '--work-dir', tmp_path, '--cfg-options'),
            *('train_dataloader.dataset.broken=5', 'train_dataloader.num_workers=1'),
        )
        assert self.complaint(done) == (
            'mmxclip: error: video clips/5.mp4 cannot be opened; re-encode or remove it'
        )

    def test_unknown_type(self, run_tool, tiny_config, tmp_path):
        done = run_tool(
            *('train.py', tiny_config, '--work-dir', tmp_path),
            *('--cfg-options', 'model.backbone.type=MobileNetV9'),
        )
        assert 'MobileNetV9 is not in the mmaction::model registry' in self.complaint(done)

    def test_nothing_to_resume_from(self, run_tool, tiny_config, tmp_path):
        args = ('train.py', tiny_config, '--work-dir', tmp_path / 'run', '--resume', 'absent.pth')
        assert "checkpoint 'absent.pth' does not exist" in self.complaint(run_tool(*args))
        assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('args', 'complaint'),
    [
        ([], 'the following arguments are required: config'),
        (['run.py', '--cfg-options', 'lr'], "'lr' is not of the form key=value"),
        (['run.py', '--cfg-options', 'a=[1,2'], '--cfg-options: Imbalanced brackets'),
        (['run.py', '--seed', '-1'], 'is not a whole number from 0'),
        (['run.py', '--seed', '4294967296'], 'is not a whole number from 0'),
        (['run.py', '--launcher', 'ssh'], "invalid choice: 'ssh'"),
        (['run.py', '--gpus', '2'], 'unrecognized arguments: --gpus 2'),
    ],
)
def test_wrong_use_has_exit_code_2(run_tool, args, complaint):
    done = run_tool('train.py', *args)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]


def test_slurm_script_hands_everything_on(run_tool, tmp_path):
    """A stand-in for ``srun`` prints what it was asked to do."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    done = run_tool(
        *('slurm_train.sh', 'gpu', 'my job', 'run.py', '--seed', '3'),
        PATH=f'{tmp_path}:/usr/bin:/bin',
        GPUS='4',
        SRUN_ARGS='--exclusive --time=1:00',
    )
    assert done.returncode == 0, done.stderr
    asked = done.stdout.splitlines()
    script = next(index for index, word in enumerate(asked) if word.endswith('tools/train.py'))
    assert asked[script + 1 :] == ['run.py', '--launcher', 'slurm', '--seed', '3']
    assert {'--job-name=my job', '--ntasks=4', '--gres=gpu:4', '--time=1:00'} <= set(asked[:script])
