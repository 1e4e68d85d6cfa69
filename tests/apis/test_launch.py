"""Command line and config become one config; what cannot work is refused before it starts."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mmxclip.apis import launch
from mmxclip.errors import CheckpointError, ConfigError


def train_args(**given) -> Namespace:
    """Return what ``tools/train.py run.py`` parses, and what is ``given``."""
    defaults = {
        'config': 'configs/run.py',
        'work_dir': None,
        'resume': None,
        'amp': False,
        'no_validate': False,
        'auto_scale_lr': False,
        'seed': None,
        'diff_rank_seed': False,
        'deterministic': False,
        'cfg_options': None,
        'launcher': 'none',
    }
    return Namespace(**(defaults | given))


def merged(settings: dict, **given) -> Config:
    """Return ``settings`` with arguments of the command line merged in."""
    cfg = Config(settings)
    launch.merge_train_args(cfg, train_args(**given))
    return cfg


class TestMerging:
    @pytest.mark.parametrize(
        ('in_config', 'in_args', 'expected'),
        [
            (None, None, './work_dirs/run'),
            ('from/config', None, 'from/config'),
            ('from/config', 'from/args', 'from/args'),
        ],
    )
    def test_work_dir(self, in_config, in_args, expected):
        assert merged({'work_dir': in_config}, work_dir=in_args).work_dir == expected

    @pytest.mark.parametrize(
        ('in_config', 'given', 'expected'),
        [
            ({}, {}, {'seed': None}),
            ({}, {'seed': 3}, {'seed': 3}),
            ({'randomness': {'seed': 7}}, {}, {'seed': 7}),
            ({'randomness': {'seed': 7}}, {'seed': 0}, {'seed': 0}),
            (
                {'randomness': {'seed': 7, 'deterministic': True}},
                {'seed': 3, 'diff_rank_seed': True},
                {'seed': 3, 'deterministic': True, 'diff_rank_seed': True},
            ),
            (
                {'randomness': {'seed': 7}},
                {'deterministic': True},
                {'seed': 7, 'deterministic': True},
            ),
        ],
    )
    def test_seed_of_the_command_line_wins(self, in_config, given, expected):
        assert merged(in_config, **given).randomness.to_dict() == expected

    @pytest.mark.parametrize(
        ('resume', 'expected'),
        [
            (None, (False, 'weights.pth')),
            ('auto', (True, None)),
            ('epoch_3.pth', (True, 'epoch_3.pth')),
        ],
    )
    def test_resume(self, resume, expected):
        cfg = merged({'resume': False, 'load_from': 'weights.pth'}, resume=resume)
        assert (cfg.resume, cfg.load_from) == expected

    def test_no_validate_removes_the_whole_of_validation(self):
        settings = {'val_cfg': {}, 'val_dataloader': {'batch_size': 1}, 'val_evaluator': {}}
        cfg = merged(settings, no_validate=True)
        assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None

    def test_auto_scale_lr(self):
        cfg = merged({'auto_scale_lr': {'base_batch_size': 256}}, auto_scale_lr=True)
        assert cfg.auto_scale_lr.to_dict() == {'base_batch_size': 256, 'enable': True}

    @pytest.mark.parametrize('settings', [{}, {'auto_scale_lr': {'enable': False}}])
    def test_auto_scale_lr_needs_a_base(self, settings):
        with pytest.raises(ConfigError, match=r"'configs/run.py' names no base batch size; set"):
            merged(settings, auto_scale_lr=True)

    def test_amp(self):
        cfg = merged({'optim_wrapper': {'optimizer': {'type': 'SGD'}}}, amp=True)
        assert cfg.optim_wrapper.type == 'AmpOptimWrapper'

    def test_amp_without_an_optimizer(self):
        with pytest.raises(ConfigError, match='has no optim_wrapper'):
            merged({}, amp=True)


class TestLoading:
    @pytest.mark.parametrize(
        ('text', 'complaint'),
        [
            ('model = dict(', 'SyntaxError: '),
            ('model = undefined', "NameError: name 'undefined' is not defined"),
            ("_base_ = './absent.py'", 'absent.py'),
            ("custom_imports = dict(imports=['no_such_module_of_ours'])", 'no_such_module_of_ours'),
        ],
    )
    def test_unreadable_config_is_named_with_the_reason(self, tmp_path, text, complaint):
        path = tmp_path / 'run.py'
        path.write_text(text)
        with pytest.raises(ConfigError, match=complaint) as caught:
            launch.load_config(str(path))
        assert str(caught.value).startswith(f"config '{path}' cannot be read: ")
        assert '\n' not in str(caught.value)
        assert len(str(caught.value)) < 500  # no listing of sys.path

    def test_absent_config(self, tmp_path):
        with pytest.raises(ConfigError, match=r"absent.py' is no file"):
            launch.load_config(str(tmp_path / 'absent.py'))

    def test_options_are_written_over_the_config(self, tmp_path):
        path = tmp_path / 'run.py'
        path.write_text('model = dict(size=1, parts=[dict(a=1), dict(a=2)])')
        cfg = launch.load_config(str(path), {'model.size': 5, 'model.parts.1.a': 7, 'new': 'x'})
        assert cfg.model.to_dict() == {'size': 5, 'parts': [{'a': 1}, {'a': 7}]}
        assert cfg.new == 'x'

    @pytest.mark.parametrize('options', [{'model.parts.5.a': 7}, {'model.parts': {'x': 1}}])
    def test_options_without_a_place(self, tmp_path, options):
        path = tmp_path / 'run.py'
        path.write_text('model = dict(parts=[dict(a=1)])')
        with pytest.raises(ConfigError, match=r'--cfg-options .* do not fit the config'):
            launch.load_config(str(path), options)


class TestRefusing:
    def test_missing_keys_are_all_named(self):
        cfg = Config({'model': {}, 'test_cfg': None})
        with pytest.raises(
            ConfigError, match=r"'a\.py' has no test_dataloader, test_cfg, test_eval"
        ):
            launch.require(cfg, 'a.py', launch.TEST_NEEDS)

    def test_work_dir_below_a_file(self, tmp_path):
        (tmp_path / 'file').write_text('')
        folder = str(tmp_path / 'file' / 'run')
        with pytest.raises(
            ConfigError, match=r"/file/run' is not writable \(Not a directory\); giv"
        ):
            launch.require_writable(folder)

    def test_work_dir_is_left_empty(self, tmp_path):
        launch.require_writable(str(tmp_path / 'deep' / 'run'))
        assert list((tmp_path / 'deep' / 'run').iterdir()) == []

    def test_absent_checkpoint(self):
        with pytest.raises(CheckpointError, match=r"'absent.pth' does not exist"):
            launch.require_checkpoint('absent.pth')

    @pytest.mark.parametrize('place', ['https://host/x.pth', 'torchvision://resnet50', '.'])
    def test_checkpoints_elsewhere_pass(self, place):
        launch.require_checkpoint(place)

    def test_dump_into_no_folder(self, tmp_path):
        with pytest.raises(ConfigError, match='there is no folder'):
            launch.add_dump(Config({'test_evaluator': {}}), str(tmp_path / 'absent' / 'out.pkl'))


@pytest.mark.parametrize('several', [False, True])
def test_dump_is_added_to_the_evaluators(tmp_path, several):
    accuracy = {'type': 'AccMetric'}
    cfg = Config({'test_evaluator': [accuracy] if several else accuracy})
    partial = launch.add_dump(cfg, str(tmp_path / 'out.pkl'))
    assert Path(partial).parent == tmp_path
    assert [dict(e) for e in cfg.test_evaluator] == [
        accuracy,
        {'type': 'DumpResults', 'out_file_path': partial},
    ]


def test_metrics_are_numbers_only():
    metrics = {'acc/top1': 0.5, 'acc/n': torch.tensor(3.0), 'confusion': torch.zeros(2, 2)}
    assert launch.format_metrics(metrics) == 'acc/top1 0.5000, acc/n 3.0000'
    assert launch.format_metrics({'confusion': torch.zeros(2, 2)}) == (
        'no single numbers; see the log'
    )


@pytest.mark.parametrize(
    ('loop', 'expected'), [(EpochBasedTrainLoop, 'epoch 4'), (IterBasedTrainLoop, 'iteration 90')]
)
def test_last_validation_knows_when_it_was(loop, expected):
    runner = Namespace(train_loop=loop.__new__(loop), epoch=4, iter=90)
    validations = launch.LastValidation()
    validations.after_val_epoch(runner, {'acc/top1': 0.25})
    assert validations.metrics == {'acc/top1': 0.25}
    assert validations.time == expected
