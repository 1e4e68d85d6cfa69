"""What a change of config, checkpoint or list does to the fingerprint of a run."""

import hashlib

import pytest
from mmengine.config import Config

from mmxclip.errors import DataError
from mmxclip.protocols import fingerprint
from mmxclip.protocols.fingerprint import TESTING, TRAINING, of_checkpoint, of_config, of_lists


def config(**changes):
    loader = dict(batch_size=4, num_workers=2, dataset=dict(ann_file='a.txt'))
    cfg = Config(
        dict(
            model=dict(type='XCLIP', neck=dict(num_frames=8)),
            train_dataloader=loader,
            test_dataloader=loader,
            optim_wrapper=dict(optimizer=dict(lr=1e-3)),
            param_scheduler=[dict(type='LinearLR')],
            default_hooks=dict(logger=dict(interval=10), checkpoint=dict(interval=1)),
            work_dir='here',
            launcher='none',
        )
    )
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    return cfg


@pytest.mark.parametrize(
    ('key', 'value', 'training', 'testing'),
    [
        ('model__neck__num_frames', 16, ['model.neck'], ['model.neck']),
        ('optim_wrapper__optimizer__lr', 2e-3, ['optim_wrapper.optimizer'], []),
        ('param_scheduler', [dict(type='StepLR')], ['param_scheduler'], []),
        ('train_dataloader__num_workers', 0, ['train_dataloader.num_workers'], []),
        ('test_dataloader__batch_size', 1, [], ['test_dataloader.batch_size']),
        ('test_dataloader__dataset__ann_file', 'b', [], ['test_dataloader.dataset']),
        ('test_dataloader__num_workers', 0, [], []),
        ('default_hooks__logger__interval', 1, [], []),
        ('work_dir', 'there', [], []),
        ('launcher', 'pytorch', [], []),
        ('randomness', dict(seed=3), ['randomness.seed'], ['randomness.seed']),
    ],
)
def test_changes_are_named(key, value, training, testing):
    for parts, expected in ((TRAINING, training), (TESTING, testing)):
        old, new = of_config(config(), parts), of_config(config(**{key: value}), parts)
        assert fingerprint.differences(old, new) == expected


def test_digests_are_those_of_another_process():
    """No ids of objects, no order of sets."""
    expected = hashlib.sha256(b'{"num_frames": 8}').hexdigest()[:16]
    assert of_config(config(), TESTING)['model.neck'] == expected


def test_checkpoint_by_its_content(tmp_path):
    one, other = tmp_path / 'one.pth', tmp_path / 'other.pth'
    one.write_bytes(b'weights')
    other.write_bytes(b'weights')
    assert of_checkpoint(str(one)) == of_checkpoint(str(other))
    other.write_bytes(b'others')
    assert of_checkpoint(str(one)) != of_checkpoint(str(other))


def test_checkpoint_in_a_folder(tmp_path):
    (tmp_path / 'config.json').write_text('{}')
    (tmp_path / 'model.safetensors').write_bytes(b'weights')
    before = of_checkpoint(str(tmp_path))
    assert of_checkpoint(str(tmp_path)) == before
    (tmp_path / 'config.json').rename(tmp_path / 'config2.json')
    assert of_checkpoint(str(tmp_path)) != before


@pytest.mark.parametrize('name', ['none', 'https://example.org/k400.pth', 's3://bucket/x.pth'])
def test_checkpoint_elsewhere(name):
    assert of_checkpoint(name) == name


def lists_config(folder, **dataset):
    inner = dict(ann_file='list.txt', data_root=str(folder), **dataset)
    return Config(
        dict(
            one=dict(dataset=dict(type='RepeatDataset', dataset=inner)),
            other=dict(dataset=dict(type='Concat', datasets=[inner, dict(ann_file='')])),
        )
    )


def test_lists_are_found_within_wrappers(tmp_path):
    (tmp_path / 'list.txt').write_text('a.mp4 0\n')
    (tmp_path / 'names.csv').write_text('id,name\n0,a\n')
    names = str(tmp_path / 'names.csv')
    cfg = lists_config(tmp_path, classes=names)
    expected = {str(tmp_path / 'list.txt'), names}
    assert set(of_lists(cfg, ('one',))) == set(of_lists(cfg, ('other',))) == expected
    before = of_lists(cfg, ('one',))
    (tmp_path / 'list.txt').write_text('a.mp4 1\n')
    changed = fingerprint.differences(before, of_lists(cfg, ('one',)))
    assert changed == [str(tmp_path / 'list.txt')]


def test_names_of_a_shipped_list_are_no_file(tmp_path):
    (tmp_path / 'list.txt').write_text('a.mp4 0\n')
    assert len(of_lists(lists_config(tmp_path, classes='hmdb51'), ('one', 'absent'))) == 1


def test_absent_lists(tmp_path):
    with pytest.raises(
        DataError, match=r'^1 of 1 lists .* not exist: .*list.txt; make .*prepare.py'
    ):
        of_lists(lists_config(tmp_path), ('one', 'other'))
