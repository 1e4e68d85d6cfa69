"""Names that no registry knows are found before a run."""

import pytest
from mmengine.config import Config

from mmxclip.apis.config_names import shipped_configs
from mmxclip.doctor.parts import check_parts


@pytest.mark.parametrize('name', sorted(shipped_configs()))
def test_shipped_configs_name_known_parts(name):
    finding = check_parts(Config.fromfile(shipped_configs()[name]))
    assert (finding.level, finding.remedy) == ('ok', ''), finding.message
    assert int(finding.message.split()[0]) > 0


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (
            dict(val_dataloader=dict(dataset=dict(type='Nope', pipeline=[]))),
            'val dataset: Nope',
        ),
        (
            dict(
                train_dataloader=dict(
                    dataset=dict(
                        type='RepeatDataset',
                        dataset=dict(type='LabelledVideoDataset', pipeline=[dict(type='Shrug')]),
                    )
                )
            ),
            'train pipeline: Shrug',
        ),
        (dict(test_evaluator=dict(type='Guess')), 'test_evaluator: Guess'),
        (dict(custom_hooks=[dict(type='NopeHook')]), 'custom_hooks: NopeHook'),
        (dict(default_hooks=dict(timer=dict(type='NoTimer'))), 'default_hooks.timer: NoTimer'),
        (dict(optim_wrapper=dict(type='NoWrapper')), 'optim_wrapper: NoWrapper'),
    ],
)
def test_unknown_parts(settings, message):
    finding = check_parts(Config(settings))
    assert finding.level == 'problem'
    assert finding.message == f'not registered: {message}'
    assert 'custom_imports' in finding.remedy


def test_what_is_no_name_of_ours_is_left_alone():
    cfg = Config(dict(custom_hooks=[dict(type='elsewhere.Hook')], optim_wrapper=dict(type=dict)))
    assert check_parts(cfg).level == 'ok'
