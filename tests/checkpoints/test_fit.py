from __future__ import annotations

import pytest
import torch
from torch import nn

from mmxclip.checkpoints.fit import MAX_LISTED, check_fit
from mmxclip.errors import CheckpointError


def tensors(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {name.replace('__', '.'): torch.zeros(shape) for name, shape in shapes.items()}


MODEL = tensors(backbone__proj__weight=(4, 3), backbone__proj__bias=(4,), head__scale=())


@pytest.mark.parametrize(
    'state_dict',
    [
        pytest.param(MODEL, id='same'),
        pytest.param(tensors(head__scale=()), id='a-part-of-the-model'),
        pytest.param({**MODEL, 'ema.step': torch.zeros(1)}, id='more-than-the-model'),
        pytest.param({k: v.half() for k, v in MODEL.items()}, id='other-dtype'),
    ],
)
def test_weights_that_fit_pass(state_dict: dict[str, torch.Tensor]) -> None:
    check_fit(MODEL, state_dict)


def test_nothing_expected_fits_anything() -> None:
    check_fit({}, MODEL)


def test_misshapen_weight_is_named_with_both_shapes() -> None:
    with pytest.raises(
        CheckpointError,
        match=r'1 of 3 .* backbone\.proj\.weight is \(4, 5\) in the checkpoint and \(4, 3\) in',
    ):
        check_fit(MODEL, {**MODEL, 'backbone.proj.weight': torch.zeros(4, 5)})


def test_a_missing_axis_is_a_misfit() -> None:
    with pytest.raises(CheckpointError, match=r'head\.scale is \(1,\) in .* \(\) in the model'):
        check_fit(MODEL, {'head.scale': torch.zeros(1)})


def test_long_lists_are_cut_and_messages_stay_on_one_line() -> None:
    many = {f'layer{i}': torch.zeros(2) for i in range(MAX_LISTED + 3)}
    with pytest.raises(CheckpointError, match=r'layer7 is .*; and 3 more; give') as caught:
        check_fit(many, {key: torch.zeros(3) for key in many})
    assert '\n' not in str(caught.value)
    assert f'layer{MAX_LISTED}' not in str(caught.value)


def test_foreign_checkpoint_shows_names_of_both_sides() -> None:
    with pytest.raises(
        CheckpointError, match=r'it has visual\.conv1, expected backbone\.proj\.weight, .*convert'
    ):
        check_fit(MODEL, {'visual.conv1': torch.zeros(1)})


@pytest.mark.parametrize('extra', ['module.', 'model.inner.'])
def test_superfluous_prefix_is_named(extra: str) -> None:
    with pytest.raises(CheckpointError, match=f'carry "{extra}" in front'):
        check_fit(MODEL, {extra + key: value for key, value in MODEL.items()})


def test_empty_checkpoint() -> None:
    with pytest.raises(CheckpointError, match=r'holds no weights at all; expected .*proj\.weight'):
        check_fit(MODEL, {})


def test_prefix_selects_the_part() -> None:
    part = tensors(proj__weight=(4, 3), proj__bias=(4,))
    check_fit(part, MODEL, prefix='backbone.')
    with pytest.raises(CheckpointError, match=r'backbone\.proj\.bias is \(4,\) in .* \(7,\)'):
        check_fit({**part, 'proj.bias': torch.zeros(7)}, MODEL, prefix='backbone.')
    with pytest.raises(CheckpointError, match=r'under "neck\." at all; .* neck\.proj\.weight'):
        check_fit(part, MODEL, prefix='neck.')


def test_what_has_no_shape_is_left_alone() -> None:
    lazy = nn.LazyLinear(2).state_dict()
    check_fit({**lazy, '_extra_state': {}}, {'weight': torch.zeros(2, 9), '_extra_state': []})


def test_as_a_load_hook_it_stops_before_anything_is_copied() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = {key: value.clone() for key, value in model.state_dict().items()}

    def hook(module: nn.Module, state_dict: dict, prefix: str, *_: object) -> None:
        check_fit(module.state_dict(), state_dict, prefix=prefix)

    model.register_load_state_dict_pre_hook(hook)
    other = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3)).state_dict()
    with pytest.raises(CheckpointError, match=r'1\.weight is \(3, 2\)'):
        model.load_state_dict(other)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
