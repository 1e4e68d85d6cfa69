"""From pixels to embeddings and probabilities, in batches that fit into memory.

Notation: N videos, M views, K classes, E joint width.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mmxclip.errors import ConfigError
from mmxclip.models.common.features import VideoFeatures, to_video_features
from mmxclip.models.heads import VideoPromptHead

DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
CPU_VIEWS, GPU_VIEWS = 4, 32
"""Views computed at once, to begin with."""
MAX_PAIRS = 8192
"""Pairs of a view and a class that are prompted at once; a prompt takes about 16 kB."""
OUT_OF_MEMORY = ('out of memory', "can't allocate memory", 'not enough memory')


def device_of(name: str | torch.device) -> torch.device:
    """A device by name, ``'auto'`` for an accelerator where there is one.

    Raises:
        ConfigError: there is no such device.
    """
    from mmengine.device import get_device

    if str(name) == 'auto':
        name = get_device()
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().splitlines()[0].split('. ')[0]
        reason = 'no such kind' if reason.startswith('Expected one of') else reason[:120]
        raise ConfigError(
            f'device={str(name)!r} cannot be used ({reason}); expected auto, cpu, cuda, cuda:1, …'
        ) from error
    return device


class Computer:
    """Runs a recognizer on batches of any size.

    Args:
        model: a recognizer with :class:`VideoPromptHead`, in evaluation mode.
        device: where it computes.
        dtype: ``'bfloat16'`` or ``'float16'`` for autocast; None or ``'float32'``
            for the precision of the weights.
        batch_size: views at once; None for 4 on a CPU and 32 elsewhere. It is
            halved for good whenever memory does not suffice.
    """

    def __init__(
        self, model: nn.Module, device: torch.device, dtype: str | None, batch_size: int | None
    ) -> None:
        if dtype is not None and dtype not in DTYPES:
            raise ConfigError(f'dtype={dtype!r} is not known; expected one of {", ".join(DTYPES)}')
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f'batch_size={batch_size} must be at least 1')
        self.model: Any = model.to(device)
        self.head = cast(VideoPromptHead, model.cls_head)
        self.device = device
        self.dtype = None if dtype is None else DTYPES[dtype]
        self.batch_size = batch_size or (CPU_VIEWS if device.type == 'cpu' else GPU_VIEWS)

    def features(self, views: Tensor) -> VideoFeatures:
        """Input of the head for views ``(R, ...)`` as the pipeline packs them."""
        with torch.inference_mode(), self._precision():
            batch = self.model.data_preprocessor(
                {'inputs': [view.to(self.device) for view in views], 'data_samples': None}, False
            )
            out, kwargs = self.model.extract_feat(batch['inputs'], test_mode=True)
            return to_video_features(out, self.head.in_channels, kwargs.get('num_segs'))

    def logits(self, features: VideoFeatures, text: Tensor) -> Tensor:
        """``(R, K)`` from features of R views and class embeddings ``(K, E)``, float32."""
        head = self.head
        with torch.inference_mode(), self._precision():
            video = head.video_proj(features.video)
            if head.prompt is None or features.patches is None:
                return head.similarity(video, text.unsqueeze(0))
            head._check_patches(features.patches)
            # classes do not see each other, so that many are prompted in parts
            parts = text.split(max(1, MAX_PAIRS // len(video)))
            return torch.cat(
                [
                    head.similarity(video, part + head.prompt(part, features.patches))
                    for part in parts
                ],
                dim=1,
            )

    def probabilities(self, videos: Tensor, text: Tensor) -> Tensor:
        """``(N, K)`` on the CPU for videos ``(N, M, ...)``, the views averaged as in testing."""
        views, count = _fold(videos)
        logits = self._in_parts(lambda part: self.logits(self.features(part), text), views)
        logits = logits.unflatten(0, (len(videos), -1)) if count else logits
        if self.head.average_clips == 'score':
            return logits.mean(dim=1).softmax(dim=-1)
        return logits.softmax(dim=-1).mean(dim=1)

    def embeddings(self, videos: Tensor) -> Tensor:
        """``(N, E)`` of length 1 on the CPU, the views' directions averaged."""
        views, _ = _fold(videos)

        def embed(part: Tensor) -> Tensor:
            with torch.inference_mode():
                video = self.head.video_proj(self.features(part).video)
                return F.normalize(video.float(), dim=-1)

        rows = self._in_parts(embed, views).unflatten(0, (len(videos), -1))
        return F.normalize(rows.mean(dim=1), dim=-1)

    def _in_parts(self, function: Callable[[Tensor], Tensor], views: Tensor) -> Tensor:
        """Results of ``function`` for all views, on the CPU."""
        done: list[Tensor] = []
        start = 0
        while start < len(views):
            part = views[start : start + self.batch_size]
            try:
                done.append(function(part).cpu())
            except RuntimeError as error:
                if not _is_memory(error):
                    raise
                self._shrink(len(part))
                continue
            start += len(part)
        return torch.cat(done)

    def _shrink(self, tried: int) -> None:
        if tried == 1:
            raise ConfigError(
                f'the memory of {self.device} does not suffice for one clip; use another device, '
                'dtype or model'
            )
        self.batch_size = tried // 2
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()

    def _precision(self) -> contextlib.AbstractContextManager:
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def _fold(videos: Tensor) -> tuple[Tensor, int]:
    """Views as samples of their own, ``(N*M, 1, C, T, H, W)``, and their number M.

    What 2D recognizers take, ``(N, M*T, C, H, W)``, has views and frames in one.
    """
    if videos.dim() != 6:
        return videos, 1
    return videos.flatten(0, 1).unsqueeze(1), videos.shape[1]


def _is_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(
        text in str(error).lower() for text in OUT_OF_MEMORY
    )
