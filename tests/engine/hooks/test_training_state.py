"""What a checkpoint holds besides weights and optimizer."""

import pytest
import torch
from toy_training import toy_config, train

from mmxclip.engine.hooks.training_state import KEY, load_gradients


@pytest.mark.parametrize('epochs', [1, 2])
def test_contents(tmp_path, epochs):
    runner = train(toy_config(tmp_path, train_cfg__max_epochs=epochs))
    checkpoint = torch.load(tmp_path / f'epoch_{epochs}.pth', weights_only=False)
    state = checkpoint[KEY]
    assert state['loop'] == dict(
        epoch_length=5, validated=epochs - 1, sampler_seed=3, sample_seed=3
    )
    assert state['gradients'] == {}
    assert len(state['random']) == 1
    assert torch.equal(state['random'][0]['torch'], torch.get_rng_state())  # nothing drawn since
    torch.save(state, tmp_path / 'state.pth')
    torch.load(tmp_path / 'state.pth', weights_only=True)
    assert runner.train_loop.state_dict()['validated'] == epochs


def test_gradients_between_updates(tmp_path):
    changes = dict(
        optim_wrapper__accumulative_counts=4,
        default_hooks__checkpoint__by_epoch=False,
        default_hooks__checkpoint__interval=2,
    )
    runner = train(toy_config(tmp_path, **changes))
    for iteration, unfinished in {2: True, 4: False, 6: True, 14: True, 15: False}.items():
        path = tmp_path / f'iter_{iteration}.pth'
        gradients = torch.load(path, weights_only=False)[KEY]['gradients']
        assert bool(gradients) == unfinished
    names = {name for name, p in runner.model.named_parameters() if p.requires_grad}
    gradients = torch.load(tmp_path / 'iter_6.pth', weights_only=False)[KEY]['gradients']
    assert gradients.keys() == names
    load_gradients(runner.model, gradients)
    assert torch.equal(runner.model.first.weight.grad, gradients['first.weight'])
    assert runner.model.frozen.weight.grad is None


def test_with_the_stock_loop(tmp_path):
    """The hook alone keeps random numbers; epochs are resumed by MMEngine."""
    stock = dict(
        train_cfg=dict(_delete_=True, by_epoch=True, max_epochs=2),
        custom_hooks=[dict(type='RecordHook'), dict(type='mmxclip.TrainingStateHook')],
    )
    full = train(toy_config(tmp_path / 'full', **stock))
    path = str(tmp_path / 'full' / 'epoch_1.pth')
    cut = train(toy_config(tmp_path / 'cut', resume=True, load_from=path, **stock))
    assert cut.rows == {key: row for key, row in full.rows.items() if key >= 5}
