"""Fully sharded training of models of this package, on CPUs too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine._strategy import FSDPStrategy
from mmengine.device import get_device
from mmengine.dist import all_reduce, broadcast
from mmengine.model import MMFullyShardedDataParallel
from torch import Size, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmxclip.errors import ConfigError
from mmxclip.registry import FUNCTIONS, MODEL_WRAPPERS, STRATEGIES

BLOCKS = ('CrossFrameBlock', 'TransformerBlock', 'PromptLayer', 'ResidualAttentionBlock')


@MODEL_WRAPPERS.register_module()
class CLIPFullyShardedDataParallel(MMFullyShardedDataParallel):
    """MMEngine's FSDP wrapper for models with a temperature, on any device.

    - FSDP refuses parameters without dimensions, and CLIP's ``logit_scale`` is
      one. Such scalars are kept whole in every process; where they are trained,
      their gradients are averaged here.
    - All processes start from the weights of the first one, as with DDP.
    - MMEngine passes the local rank as ``device_id``, which means a GPU. On a
      machine without one the model stays on the CPU.

    Args:
        module: the model.
        device_id: as MMEngine passes it; not used without an accelerator.
        kwargs: of ``MMFullyShardedDataParallel``, such as ``auto_wrap_policy``.
    """

    def __init__(
        self, module: nn.Module, device_id: int | torch.device | None = None, **kwargs: Any
    ) -> None:
        scalars = [parameter for parameter in module.parameters() if parameter.dim() == 0]
        if get_device() == 'cpu':
            device_id = torch.device('cpu')
        for scalar in scalars:  # FSDP does not move what it ignores
            scalar.data = scalar.data.to(get_device() if device_id is None else device_id)
        # With a seed for each process initial weights differ, and shards of different
        # models would be joined. FSDP's own ``sync_module_states`` is for GPUs alone.
        for tensor in (*module.parameters(), *module.buffers()):
            broadcast(tensor.data)
        ignored = [*(kwargs.pop('ignored_states', None) or []), *scalars]
        super().__init__(module=module, device_id=device_id, ignored_states=ignored, **kwargs)
        for scalar in scalars:
            if scalar.requires_grad:
                scalar.register_post_accumulate_grad_hook(_average)


@STRATEGIES.register_module()
class CLIPFSDPStrategy(FSDPStrategy):
    """MMEngine's strategy, with our wrapper, that also resumes.

    MMEngine hands FSDP the arguments for loading an optimizer in the order of
    torch 2.0, so that no run resumes, and saves neither the loss scale nor the
    learning rate that is logged.

    A config needs ``runner_type='FlexibleRunner'`` and
    ``strategy=dict(type='mmxclip.CLIPFSDPStrategy')``.

    Args:
        model_wrapper: by default :class:`CLIPFullyShardedDataParallel`, layer
            by layer as :func:`clip_blocks` says.
        state_dict_cfg: ``'full'``: one file, which loads into a plain model;
            ``'local'``: a folder with a file per process.
        kwargs: of MMEngine's ``FSDPStrategy``.
    """

    def __init__(
        self,
        *,
        model_wrapper: dict | None = None,
        state_dict_cfg: str | dict = 'full',
        **kwargs: Any,
    ) -> None:
        defaults = dict(
            type='mmxclip.CLIPFullyShardedDataParallel',
            auto_wrap_policy=dict(type='mmxclip.clip_blocks'),
        )
        wrapper = {**defaults, **(model_wrapper or {})}
        super().__init__(model_wrapper=wrapper, state_dict_cfg=state_dict_cfg, **kwargs)
        if get_device() == 'cpu':
            # Moving to the CPU is how FSDP copies what it gathers, and on the CPU
            # that copies nothing: every state of the optimizer would be the last one.
            self.state_dict_config.offload_to_cpu = False
            self.optim_state_dict_config.offload_to_cpu = False

    def optim_state_dict(self) -> dict:
        """Return the state of the optimizer, and of its wrapper."""
        own = self.optim_wrapper.state_dict()
        return {
            **{key: own[key] for key in own.keys() - {'state', 'param_groups'}},
            **super().optim_state_dict(),
        }

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load a state of :meth:`optim_state_dict`.

        Args:
            state_dict: whole or sharded, as ``state_dict_cfg`` says.
        """
        kept = {key: state_dict[key] for key in state_dict.keys() - {'state', 'param_groups'}}
        sharded = FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model,
            optim=self.optim_wrapper.optimizer,
            optim_state_dict={key: state_dict[key] for key in state_dict.keys() - kept.keys()},
        )
        self.optim_wrapper.load_state_dict({**kept, **sharded})


@FUNCTIONS.register_module()
def clip_blocks(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, blocks: Sequence[str] = BLOCKS
) -> bool:
    """Shard transformer layers one by one: an ``auto_wrap_policy``.

    Each layer is gathered when it is used and let go after, so a process holds
    little more than its shard and one layer.

    Args:
        module: the module in question.
        recurse: True to ask whether to look further inside.
        nonwrapped_numel: parameters not sharded yet; not used.
        blocks: class names of the layers; those of this package and of
            open_clip's text tower.
    """
    return recurse or type(module).__name__ in blocks


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


def _average(parameter: nn.Parameter) -> None:
    """Average a gradient over processes, as FSDP does for what it shards."""
    all_reduce(parameter.grad, 'mean')
