"""Mixed precision on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmxclip.errors import ConfigError
from mmxclip.registry import OPTIM_WRAPPERS

LOWERED = {'float16': 'bfloat16', 'bfloat16': 'bfloat16'}


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Counterpart of MMEngine's ``AmpOptimWrapper``, which refuses to run without an accelerator.

    The forward pass of a training step runs under autocast in bfloat16; weights,
    gradients and optimizer state stay float32. bfloat16 has the range of
    float32, so the loss is not scaled.

    Args:
        loss_scale: accepted so that a config of ``AmpOptimWrapper`` fits; not used.
        dtype: ``'bfloat16'``, also the default. ``'float16'`` becomes bfloat16
            with a line in the log: CPUs lack its arithmetic.
        use_fsdp: accepted like ``loss_scale``.
        kwargs: of ``OptimWrapper``: ``optimizer``, ``accumulative_counts``,
            ``clip_grad``.

    Raises:
        ConfigError: for another ``dtype``.
    """

    def __init__(
        self,
        loss_scale: str | float | dict = 'dynamic',
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        **kwargs: Any,
    ) -> None:
        name = 'bfloat16' if dtype is None else str(dtype).removeprefix('torch.')
        if name not in LOWERED:
            raise ConfigError(
                f'optim_wrapper.dtype={dtype!r}: mixed precision on the CPU is bfloat16; '
                "give dtype='bfloat16', or type='OptimWrapper' for full precision"
            )
        super().__init__(**kwargs)
        if LOWERED[name] != name:
            print_log(f'{name} is not for CPUs: {LOWERED[name]} is used instead', logger='current')
        self.cast_dtype: torch.dtype = getattr(torch, LOWERED[name])

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast, besides what ``OptimWrapper`` does for gradient accumulation.

        Args:
            model: the model in training.
        """
        with super().optim_context(model), torch.autocast('cpu', dtype=self.cast_dtype):
            yield

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a state, also one of ``AmpOptimWrapper``, whose loss scale is left out.

        Args:
            state_dict: state of the optimizer, with or without ``'loss_scaler'``.
        """
        super().load_state_dict(
            {key: value for key, value in state_dict.items() if key != 'loss_scaler'}
        )
