"""What fully sharded training needs to know about our models, and MMEngine about CPUs."""

from __future__ import annotations

from torch import Size, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmxclip.errors import ConfigError


def original_shapes(model: nn.Module) -> dict[nn.Parameter, Size]:
    """Return the shapes that the parameters of ``model`` had before sharding.

    A sharded parameter is one-dimensional, whatever it was, so rules that go by
    the number of dimensions must not look at it.

    Args:
        model: any module; without FSDP inside, nothing is returned.

    Raises:
        ConfigError: when parameters were merged beyond telling them apart.
    """
    shapes: dict[nn.Parameter, Size] = {}
    for module in FullyShardedDataParallel.fsdp_modules(model):
        flat = None if module._handle is None else module._handle.flat_param
        if flat is None:  # nothing to shard
            continue
        if flat._params is None:
            raise ConfigError(
                'model_wrapper.use_orig_params=False merges parameters that have different '
                'learning rates; set use_orig_params=True'
            )
        shapes.update(zip(flat._params, flat._shapes, strict=True))
    return shapes
