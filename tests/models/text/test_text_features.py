"""Text features are computed once for given names, template and weights, and never stale."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from small_models import (
    CLASSES,
    HEAD,
    JOINT_WIDTH,
    NUM_FRAMES,
    NUM_PATCHES,
    NUM_ROWS,
    TEXT,
    VISION_WIDTH,
    build,
    clip,
)
from torch import nn

VIDEO = (
    torch.randn(NUM_ROWS, JOINT_WIDTH),
    torch.randn(NUM_ROWS, NUM_FRAMES, NUM_PATCHES, VISION_WIDTH),
)
Count = Callable[[], int]


def make_head(frozen: bool = True) -> tuple[nn.Module, Count]:
    """A head, and a function that counts how often its texts were encoded."""
    head = build(HEAD, text_encoder=dict(TEXT, frozen=frozen), in_channels=JOINT_WIDTH)
    calls = []
    original = head.text_encoder.encode
    head.text_encoder.encode = lambda texts: calls.append(texts) or original(texts)
    return head, lambda: len(calls)


def fresh(head: nn.Module) -> torch.Tensor:
    """What the features should be, computed past the cache."""
    with torch.no_grad():
        return head.text_encoder(head.text_encoder.tokenize(head.texts(head.classes)))


def check(head: nn.Module) -> None:
    torch.testing.assert_close(head.text_features().detach(), fresh(head), rtol=1e-6, atol=1e-6)


def test_once_over_many_calls_in_either_mode():
    head, count = make_head()
    for mode in (True, True, False, True, False, False):
        head.train(mode)
        head(VIDEO)
        with torch.no_grad():
            head(VIDEO)
    assert count() == 1
    check(head)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('frozen', [True, False])
def test_modes_are_left_alone(training, frozen):
    head, _ = make_head(frozen)
    head.train(training)
    before = {name: module.training for name, module in head.named_modules()}
    with torch.no_grad():
        head(VIDEO)
    head(VIDEO)
    assert {name: module.training for name, module in head.named_modules()} == before


def set_classes(head):
    head.set_classes(['juggling', 'ice skating'])


def set_template(head):
    head.template = 'a video of {}'


def load_weights(head):
    head.load_state_dict({key: value + 0.1 for key, value in head.state_dict().items()})


def assign_weights(head):
    state = {key: value + 0.1 for key, value in head.state_dict().items()}
    head.load_state_dict(state, assign=True)


def load_open_clip(head):
    head.text_encoder.load_open_clip(clip().state_dict())


def write_in_place(head):
    with torch.no_grad():
        head.text_encoder.tower.text_projection.mul_(2)


def to_double(head):
    head.double()


def to_half(head):
    head.to(torch.bfloat16)


def replace_parameter(head):
    tower = head.text_encoder.tower
    tower.text_projection = nn.Parameter(tower.text_projection * 2, requires_grad=False)


CHANGES = [
    set_classes,
    set_template,
    load_weights,
    assign_weights,
    load_open_clip,
    write_in_place,
    to_double,
    to_half,
    replace_parameter,
]


@pytest.mark.parametrize('change', CHANGES)
def test_again_after(change):
    head, count = make_head()
    first = head.text_features()
    change(head)
    second = head.text_features()
    assert count() == 2
    assert second.dtype != first.dtype or not torch.equal(second, first)
    torch.testing.assert_close(second, fresh(head), rtol=1e-6, atol=1e-6)
    head.text_features()
    assert count() == 2


def test_other_parameters_do_not_count():
    head, count = make_head()
    head.text_features()
    with torch.no_grad():
        head.prompt.alpha.add_(1)
        head.logit_scale.add_(1)
    head.text_features()
    assert count() == 1


def test_the_former_names_again():
    """One vocabulary is held; going back computes anew, and right."""
    head, count = make_head()
    first = head.text_features()
    head.set_classes(['juggling'])
    head.text_features()
    head.set_classes(CLASSES)
    assert torch.equal(head.text_features(), first)
    assert count() == 3


OPTIMIZERS = [
    lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    lambda parameters: torch.optim.AdamW(parameters, lr=0.1, foreach=False),
    lambda parameters: torch.optim.AdamW(parameters, lr=0.1, foreach=True),
    lambda parameters: torch.optim.AdamW(parameters, lr=0.1, fused=True),
]


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(
    'make_optimizer', OPTIMIZERS, ids=['sgd', 'adamw', 'adamw-foreach', 'adamw-fused']
)
def test_after_each_step_of_a_trainable_tower(make_optimizer, training):
    """Without a change of mode in between, as in a loop that scores while it trains.

    Fused optimizers write without moving PyTorch's version counters.
    """
    head, _ = make_head(frozen=False)
    head.train(training)
    optimizer = make_optimizer(head.text_encoder.parameters())
    for _ in range(2):
        with torch.no_grad():
            before = head.text_features()
        loss = head(VIDEO).pow(2).sum()
        optimizer.zero_grad()
        loss.backward()
        if training:
            with torch.no_grad():
                check(head)
        optimizer.step()
        with torch.no_grad():
            assert not torch.equal(head.text_features(), before)
            check(head)


def test_a_trainable_tower_is_encoded_once_in_evaluation():
    head, count = make_head(frozen=False)
    head.eval()
    with torch.no_grad():
        first = head.text_features()
        assert head.text_features() is first
    assert count() == 1


def test_a_trainable_tower_is_encoded_whenever_gradients_are_wanted():
    head, count = make_head(frozen=False)
    for _ in range(3):
        head(VIDEO).sum().backward()
    assert count() == 3
    assert head.text_encoder.tower.text_projection.grad.abs().max() > 0


def test_writes_that_leave_no_trace_are_caught_by_the_change_of_mode():
    """Averaged weights are swapped in through ``.data`` between training and validation."""
    head, _ = make_head(frozen=False)
    head.eval()
    with torch.no_grad():
        head.text_features()
        head.text_encoder.tower.text_projection.data.mul_(2)
        head.eval()
        check(head)


def test_inference_mode_then_training():
    head, count = make_head()
    with torch.inference_mode():
        head(VIDEO)
    head.train()
    head(VIDEO).sum().backward()
    assert head.prompt.alpha.grad.abs().max() > 0
    assert count() == 1


def test_built_in_inference_mode():
    """Its tensors keep no count of writes, so nothing is held and nothing stale."""
    with torch.inference_mode():
        head, count = make_head()
        head.text_features()
        for change in (write_in_place, set_classes, write_in_place):
            change(head)
            check(head)
        assert count() == 4


def test_copies_start_empty():
    head, _ = make_head()
    del head.text_encoder.encode  # the counting one would speak for the original
    head.text_features()
    copied = copy.deepcopy(head)
    assert copied._text_cache._features is None
    with torch.no_grad():
        copied.text_encoder.tower.text_projection.mul_(2)
    check(copied)
    check(head)


def test_features_are_not_saved():
    head, _ = make_head()
    before = list(head.state_dict())
    head.text_features()
    assert list(head.state_dict()) == before
    assert not any('cache' in name for name, _ in head.named_buffers())
