"""A cosine that runs from the first step on, under a linear warm-up."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF

from mmxclip.errors import ConfigError
from mmxclip.registry import PARAM_SCHEDULERS


class LinearWarmupCosineParamScheduler(_ParamScheduler):
    """See :class:`LinearWarmupCosineLR`, for any parameter of an optimizer.

    Args:
        optimizer: an optimizer or its wrapper.
        param_name: ``'lr'``, ``'momentum'``, ...
        warmup: steps of the warm-up.
        T_max: steps until ``eta_min`` is reached, those of the warm-up included.
        eta_min: the last value, of all groups.
        kwargs: of MMEngine: ``end``, which its runner sets to the length of
            the training, ``last_step``, ``by_epoch``, ``verbose``.

    Raises:
        ConfigError: when the warm-up leaves nothing to the cosine.
    """

    def __init__(
        self,
        optimizer: Any,
        param_name: str,
        warmup: int,
        T_max: int,  # noqa: N803  (as in MMEngine's schedulers)
        eta_min: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if not 0 <= warmup < T_max:
            raise ConfigError(f'warmup={warmup} must be at least 0 and below T_max={T_max}')
        self.warmup = warmup
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, param_name, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls,
        *,
        warmup: float,
        T_max: float,  # noqa: N803
        epoch_length: int,
        end: float = INF,
        by_epoch: bool = True,
        **kwargs: Any,
    ) -> LinearWarmupCosineParamScheduler:
        """Count in iterations what was given in epochs.

        Args:
            warmup: epochs.
            T_max: epochs.
            epoch_length: iterations of an epoch.
            end: epochs.
            by_epoch: True; others cannot be converted.
            kwargs: passed on.
        """
        assert by_epoch, 'only what counts in epochs can be converted to iterations'
        return cls(  # the optimizer is among the keywords
            warmup=int(warmup * epoch_length),
            T_max=int(T_max * epoch_length),
            end=end if end == INF else int(end * epoch_length),
            by_epoch=False,
            **kwargs,
        )

    def _get_value(self) -> list[float]:
        """Values of this step, from the initial ones alone."""
        step: int = self.last_step
        if step < self.warmup:
            return [value * step / self.warmup for value in self.base_values]
        share = (1 + math.cos(math.pi * min(step / self.T_max, 1))) / 2
        return [self.eta_min + (value - self.eta_min) * share for value in self.base_values]


@PARAM_SCHEDULERS.register_module()
class LinearWarmupCosineLR(LRSchedulerMixin, LinearWarmupCosineParamScheduler):
    """Learning rates of X-CLIP's recipe; step t of T, W of them warm-up:

        t < W   lr * t / W
        else    eta_min + (lr - eta_min) * (1 + cos(pi t / T)) / 2

    So the rate falls a little when the warm-up ends, to where a cosine from the
    first step on has come by then. MMEngine's ``LinearLR`` with its
    ``CosineAnnealingLR`` multiplies the two, which is lower under the warm-up,
    and cannot begin at 0, as the research code does.

    Args:
        optimizer: an optimizer or its wrapper.
        warmup: steps, or epochs with ``convert_to_iter_based=True``.
        T_max: likewise, warm-up included.
        eta_min: the last learning rate, the same for all groups.
        kwargs: ``last_step``, ``by_epoch``, ``verbose`` of MMEngine.

    Raises:
        ConfigError: when the warm-up leaves nothing to the cosine.

    Source: the research code of arXiv:2208.02816 (X-CLIP).
    """
