"""All four protocols on a miniature, within this process."""

import csv
import json
import logging
import shutil
import statistics

import pytest
import torch
from miniature import CLASSES
from mmengine.logging import MMLogger

from mmxclip.apis import launch
from mmxclip.checkpoints.safe_load import load_file
from mmxclip.errors import CheckpointError, ConfigError, DataError
from mmxclip.protocols import steps
from mmxclip.protocols.isolation import isolated
from mmxclip.protocols.results import harmonic_mean


def table(path):
    """Rows of the first table of a Markdown file, as lists of texts."""
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith('|'))
    rows = []
    for line in lines[first:]:
        if not line.startswith('|'):
            break
        rows.append([cell.strip() for cell in line.strip('|').split('|')])
    return [rows[0], *rows[2:]]


def runs_of(data):
    return {(run['run'], run['evaluation']): run for run in data['runs']}


def weights(folder, name='epoch_2.pth'):
    return load_file(folder / name)['state_dict']


@pytest.fixture(scope='module')
def zeroshot(run_protocol, tmp_path_factory):
    folder = tmp_path_factory.mktemp('zeroshot')
    return run_protocol('zeroshot', folder), folder


@pytest.fixture(scope='module')
def fewshot(run_protocol, tmp_path_factory):
    folder = tmp_path_factory.mktemp('fewshot')
    return run_protocol('fewshot', folder), folder


@pytest.fixture(scope='module')
def base2novel(run_protocol, tmp_path_factory):
    folder = tmp_path_factory.mktemp('base2novel')
    return run_protocol('base2novel', folder), folder


@pytest.fixture(scope='module')
def supervised(run_protocol, tmp_path_factory):
    folder = tmp_path_factory.mktemp('supervised')
    return run_protocol('supervised', folder), folder


class TestZeroshot:
    def test_every_split_is_that_of_the_test_tool(self, zeroshot, miniature, tmp_path):
        """The same number as one run of MMEngine's runner on the list."""
        data, _ = zeroshot
        cfg = launch.load_config(str(miniature.configs['zeroshot']))
        cfg.work_dir, cfg.launcher = str(tmp_path), 'none'
        cfg.load_from = str(miniature.checkpoint)
        cfg.test_dataloader.dataset.ann_file = 'hmdb51_val_split_2_videos.txt'
        with isolated():
            expected = launch.build_runner(cfg).test()
        assert runs_of(data)['split2', 'test']['metrics']['top1'] == 100 * expected['acc/top1']

    def test_mean_and_deviation(self, zeroshot):
        data, _ = zeroshot
        values = [run['metrics']['top1'] for run in data['runs']]
        (summary,) = [entry for entry in data['summary'] if entry['metric'] == 'top1']
        assert summary['setting'] == 'mean of splits'
        assert summary['value'] == pytest.approx(statistics.mean(values))
        assert summary['std'] == pytest.approx(statistics.stdev(values))
        assert summary['n'] == 3

    def test_table_beside_what_is_published(self, zeroshot):
        data, folder = zeroshot
        headings, own, published = table(folder / 'protocol.md')
        assert headings[:3] == ['method', 'whose', 'top-1']
        entry = next(entry for entry in data['summary'] if entry['metric'] == 'top1')
        assert own[:3] == [
            *('miniature_zeroshot', 'this run'),
            f'{entry["value"]:.1f} ± {entry["std"]:.1f}',
        ]
        assert published[:3] == ['X-CLIP-B/16', 'as published', '44.6 ± 5.2']

    def test_facts(self, zeroshot, miniature):
        facts = zeroshot[0]['facts']
        assert facts['weights'].startswith(f'{miniature.checkpoint} (SHA-256 ')
        assert facts['training'] == 'none, the weights are tested as they are'
        assert facts['class text'] == "'{}', {} being the name"
        assert facts['classes'] == '4 names of the config'
        assert facts['videos'] == '24 of 24 listed could be read'
        assert facts['input'] == '4 frames of 64x64, single view'

    def test_csv_holds_the_same_numbers(self, zeroshot):
        data, folder = zeroshot
        with open(folder / 'protocol.csv', newline='') as file:
            rows = list(csv.DictReader(file))
        found = {
            (row['run'], row['metric']): float(row['value']) for row in rows if row['kind'] == 'run'
        }
        assert found == {
            (run['run'], metric): value
            for run in data['runs']
            for metric, value in run['metrics'].items()
        }
        assert {row['kind'] for row in rows} == {'run', 'summary', 'published'}

    def test_logs_lie_with_their_runs(self, zeroshot):
        _, folder = zeroshot
        for split in (1, 2, 3):
            (log,) = (folder / f'split{split}' / 'test').glob('*/*.log')
            assert 'acc/top1' in log.read_text()
            assert (folder / f'split{split}' / 'test' / 'miniature_zeroshot.py').is_file()
        # other tests of this process may have left files of their own open
        assert not any(
            isinstance(handler, logging.FileHandler) and str(folder) in handler.baseFilename
            for logger in MMLogger._instance_dict.values()
            for handler in logger.handlers
        )

    def test_unreadable_videos_count_as_wrong(self, run_protocol, miniature, tmp_path):
        rows = (miniature.folder / 'hmdb51_val_split_1_videos.txt').read_text()
        broken = miniature.folder / 'videos' / 'broken.avi'
        broken.write_text('no video')
        ann_file = miniature.folder / 'broken.txt'
        ann_file.write_text(f'{rows}broken.avi 0\n')
        config = miniature.write_config(
            'zeroshot',
            'broken',
            axes=dict(split=[1]),
            options={
                'test_dataloader.dataset.ann_file': 'broken.txt',
                'randomness.seed': '{split}',
            },
        )
        data = run_protocol('zeroshot', tmp_path, config=config)
        assert (data['runs'][0]['videos'], data['runs'][0]['unreadable']) == (9, 1)
        assert data['facts']['videos'] == '8 of 9 listed could be read; the other 1 count as wrong'
        assert data['summary'][0]['std'] is None


class TestFewshot:
    def test_columns_are_numbers_of_videos(self, fewshot):
        data, folder = fewshot
        headings, own, published = table(folder / 'protocol.md')
        assert headings == ['method', 'whose', 'K=2', 'K=4']
        for cell, shots in zip(own[2:], (2, 4), strict=True):
            values = [
                runs_of(data)[f'shots{shots}_seed{seed}', 'test']['metrics']['top1']
                for seed in (0, 1)
            ]
            mean, std = statistics.mean(values), statistics.stdev(values)
            assert cell == f'{mean:.1f} ± {std:.1f}'
        assert published[2:] == ['53.0', '–']

    def test_runs_were_trained_apart(self, fewshot):
        data, folder = fewshot
        trained = [
            weights(folder / run['run'] / 'train')['cls_head.prompt.alpha'] for run in data['runs']
        ]
        assert len({float(value.sum()) for value in trained}) == 4
        for run in data['runs']:
            facts = run['trained']
            assert facts['checkpoint'] == 'epoch_2.pth'
            assert facts['seed'] == run['values']['seed']
            assert facts['videos'] == len(CLASSES) * run['values']['shots']

    def test_one_after_others_equals_one_alone(self, fewshot, run_protocol, tmp_path):
        """Bit by bit, and of the seed drawn too: nothing of the runs before is left."""
        data, folder = fewshot
        alone = run_protocol('fewshot', tmp_path, '--axes', 'shots=4', 'seed=1')
        assert [run['run'] for run in alone['runs']] == ['shots4_seed1']
        assert alone['runs'][0] == runs_of(data)['shots4_seed1', 'test']
        expected = weights(folder / 'shots4_seed1' / 'train')
        actual = weights(tmp_path / 'shots4_seed1' / 'train')
        assert all(torch.equal(actual[key], expected[key]) for key in expected)

    def test_finished_runs_are_not_repeated(self, fewshot, run_protocol, monkeypatch, capsys):
        data, folder = fewshot
        (folder / 'protocol.md').unlink()
        for name in ('train', 'test'):
            monkeypatch.setattr(steps, name, lambda *_: pytest.fail('a run was repeated'))
        assert run_protocol('fewshot', folder) == data
        assert (folder / 'protocol.md').exists()
        assert capsys.readouterr().err.count('done before') == 8

    def test_weights_of_the_config(self, fewshot, run_protocol, tmp_path):
        data = run_protocol('fewshot', tmp_path, '--axes', 'shots=2', 'seed=0', checkpoint='none')
        assert 'tiny_clip_motion.safetensors' in data['facts']['weights']
        dumped = tmp_path / 'shots2_seed0' / 'train' / 'miniature_fewshot.py'
        assert 'OpenCLIPPretrained' in dumped.read_text()
        other = fewshot[1] / 'shots2_seed0' / 'train' / 'miniature_fewshot.py'
        assert 'init_cfg=None' in other.read_text()  # a checkpoint spares a download


class TestBaseToNovel:
    def test_harmonic_mean_is_of_the_means(self, base2novel):
        data, folder = base2novel
        means = {
            half: statistics.mean(
                runs_of(data)[f'seed{seed}', half]['metrics']['top1'] for seed in (0, 1)
            )
            for half in ('base', 'novel')
        }
        expected = harmonic_mean(means['base'], means['novel'])
        headings, own, published = table(folder / 'protocol.md')
        assert headings == ['method', 'whose', 'Base', 'Novel', 'HM']
        assert own[4] == f'{expected:.1f}'
        assert published[2:] == ['69.4', '–', '55.0']
        assert set(data['harmonic_mean_by_run']) == {'seed0', 'seed1'}

    def test_each_half_has_its_names_and_videos(self, base2novel, miniature):
        data, folder = base2novel
        assert data['facts']['classes'] == ', '.join(
            str(miniature.folder / f'hmdb51_{half}_classes.csv') for half in ('base', 'novel')
        )
        for half in ('base', 'novel'):
            dumped = (folder / 'seed0' / half / 'miniature_base2novel.py').read_text()
            test_part = dumped[dumped.index('test_dataloader = ') : dumped.index('test_evaluator')]
            assert f'hmdb51_{half}_val_videos.txt' in test_part
            assert f'hmdb51_{half}_classes.csv' in test_part

    def test_retest_keeps_what_was_trained(self, base2novel, run_protocol, monkeypatch):
        data, folder = base2novel
        monkeypatch.setattr(steps, 'train', lambda *_: pytest.fail('a training was repeated'))
        options = ('--axes', 'seed=1', '--cfg-options', 'test_dataloader.batch_size=1')
        with pytest.raises(ConfigError, match=r'settings for base: test_dataloader.batch_size'):
            run_protocol('base2novel', folder, *options)
        again = run_protocol('base2novel', folder, '--retest', *options)
        expected = [run['metrics'] for run in data['runs'] if run['run'] == 'seed1']
        assert [run['metrics'] for run in again['runs']] == expected


class TestSupervised:
    def test_views(self, supervised):
        data, folder = supervised
        assert data['runs'][0]['input'] == [2, 3, 4, 64, 64]
        headings, own, *published = table(folder / 'protocol.md')
        assert headings[:4] == ['method', 'whose', 'views', 'top-1']
        assert own[2] == '2x1 views'
        assert ['4x3 views', '83.8'] in [row[2:4] for row in published]

    def test_trained_or_not_is_not_mixed(self, supervised, run_protocol):
        with pytest.raises(ConfigError, match=r"run' was begun with training; --fresh starts ove"):
            run_protocol('supervised', supervised[1], '--test-only')

    def test_without_training(self, run_protocol, miniature, tmp_path, monkeypatch):
        monkeypatch.setattr(steps, 'train', lambda *_: pytest.fail('trained'))
        data = run_protocol('supervised', tmp_path, '--test-only')
        assert data['runs'][0]['trained'] is None
        assert data['facts']['training'].startswith('none')

    def test_printed_as_it_is_written(self, run_protocol, tmp_path, capsys):
        """From records alone, since all runs are done by then."""
        run_protocol('supervised', tmp_path, '--test-only')
        for kind in ('md', 'csv', 'json'):
            capsys.readouterr()
            run_protocol('supervised', tmp_path, '--test-only', '--format', kind)
            assert capsys.readouterr().out == (tmp_path / f'protocol.{kind}').read_text()

    def test_nothing_but_the_table_is_on_stdout(self, run_protocol, tmp_path, capsys):
        run_protocol('zeroshot', tmp_path, '--axes', 'split=1', '--format', 'json')
        said = capsys.readouterr()
        assert json.loads(said.out)['protocol'] == 'zeroshot'
        assert 'acc/top1' in said.err  # MMEngine's log


class TestRefused:
    def test_other_checkpoint(self, zeroshot, run_protocol, miniature, tmp_path):
        data, folder = zeroshot
        other = tmp_path / 'other.pth'
        other.write_bytes(miniature.checkpoint.read_bytes() + b' ')
        with pytest.raises(
            ConfigError, match=r'split1. was begun .* test: checkpoint have changed'
        ):
            run_protocol('zeroshot', folder, checkpoint=other)
        assert json.loads((folder / 'protocol.json').read_text()) == data

    def test_other_list(self, run_protocol, miniature, tmp_path):
        run_protocol('zeroshot', tmp_path, '--axes', 'split=3')
        path = miniature.folder / 'hmdb51_val_split_3_videos.txt'
        before = path.read_text()
        path.write_text(before.split('\n', 1)[1])
        try:
            with pytest.raises(ConfigError, match=r'test: file .*val_split_3_videos.txt have cha'):
                run_protocol('zeroshot', tmp_path, '--axes', 'split=3')
            data = run_protocol('zeroshot', tmp_path, '--axes', 'split=3', '--fresh')
            assert data['runs'][0]['videos'] == 7
        finally:
            path.write_text(before)

    def test_absent_lists_before_anything_is_run(self, run_protocol, miniature, tmp_path):
        config = miniature.write_config('fewshot', 'absent', axes=dict(shots=[2, 8], seed=[0]))
        with pytest.raises(DataError, match=r'1 of \d lists .*_8shot_seed0_videos.txt; make them'):
            run_protocol('fewshot', tmp_path, config=config)
        assert not list(tmp_path.glob('shots*'))

    def test_nothing_to_test(self, run_protocol, tmp_path):
        with pytest.raises(
            CheckpointError, match=r"zeroshot tests a checkpoint .* cannot be 'none'"
        ):
            run_protocol('zeroshot', tmp_path, checkpoint='none')

    def test_absent_checkpoint(self, run_protocol, tmp_path):
        with pytest.raises(CheckpointError, match='does not exist'):
            run_protocol('fewshot', tmp_path, checkpoint=tmp_path / 'x.pth')

    def test_no_checkpoint_saved(self, run_protocol, tmp_path):
        options = ('--axes', 'shots=2', 'seed=0', '--cfg-options', 'default_hooks.checkpoint=None')
        with pytest.raises(ConfigError, match='has saved no checkpoint to test; set default_hooks'):
            run_protocol('fewshot', tmp_path, *options)

    def test_trained_checkpoint_deleted(self, fewshot, run_protocol, tmp_path):
        shutil.copytree(fewshot[1] / 'shots2_seed0', tmp_path / 'shots2_seed0')
        (tmp_path / 'shots2_seed0' / 'train' / 'epoch_2.pth').unlink()
        with pytest.raises(CheckpointError, match=r'epoch_2.pth.* is gone; --fresh trains again'):
            run_protocol('fewshot', tmp_path, '--axes', 'shots=2', 'seed=0', '--retest')

    def test_no_accuracy(self, run_protocol, tmp_path):
        options = ('--cfg-options', "test_evaluator.metric_list=('mean_class_accuracy',)")
        with pytest.raises(
            ConfigError, match=r'test_evaluator gives .*, and a protocol needs top1'
        ):
            run_protocol('zeroshot', tmp_path, *options)


@pytest.mark.parametrize(
    ('metrics', 'expected'),
    [
        ({'acc/top1': 0.5, 'acc/top5': 0.9, 'loss': 3.0}, {'top1': 50.0, 'top5': 90.0}),
        ({'top1': 0.25, 'other/top1': 0.5}, {'top1': 25.0}),
        ({'acc/top1': 1.0, 'acc/mean1': 0.5, 'acc/unreadable': 2}, {'top1': 100.0, 'mean1': 50.0}),
    ],
)
def test_accuracies(metrics, expected):
    assert steps.accuracies(metrics) == expected


def test_pointer_to_nothing(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_3.pth')
    with pytest.raises(CheckpointError, match=r"names '/elsewhere/epoch_3.pth', which does not"):
        steps.last_checkpoint(tmp_path)


def test_pointer_of_a_folder_that_was_moved(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_3.pth')
    (tmp_path / 'epoch_3.pth').touch()
    assert steps.last_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'


@pytest.mark.parametrize('text', [None, '', ' \n'])
def test_no_pointer(tmp_path, text):
    if text is not None:
        (tmp_path / 'last_checkpoint').write_text(text)
    assert steps.last_checkpoint(tmp_path) is None
