"""X-CLIP for MMAction2: image-text models extended to video recognition.

Importing the package mends what is broken upstream and makes its registries
known; the components below are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmxclip import compat
from mmxclip.requirements import check_mmcv

check_mmcv()
compat.mend()  # before anything imports ``mmaction.models``

from mmengine.config import utils as _config_utils  # noqa: E402

from mmxclip import registry  # noqa: E402
from mmxclip.version import __version__  # noqa: E402

if TYPE_CHECKING:
    from mmxclip.inference.video_classifier import VideoClassifier
    from mmxclip.models import (
        XCLIP,
        CLIPTextEncoder,
        CrossFrameViT,
        FrameAverage,
        MultiFrameIntegrationTransformer,
        OpenCLIPPretrained,
        VideoPromptHead,
    )

# MMEngine finds configs (``mmxclip::_base_/…``) and model names of a scope only
# if the scope stands in this table of OpenMMLab's own packages.
_config_utils.MODULE2PACKAGE.setdefault('mmxclip', 'mmxclip')

__all__ = [
    'XCLIP',
    'CLIPTextEncoder',
    'CrossFrameViT',
    'FrameAverage',
    'MultiFrameIntegrationTransformer',
    'OpenCLIPPretrained',
    'VideoClassifier',
    'VideoPromptHead',
    '__version__',
    'registry',
]

_COMPONENTS = {
    'XCLIP': 'mmxclip.models',
    'CLIPTextEncoder': 'mmxclip.models',
    'CrossFrameViT': 'mmxclip.models',
    'FrameAverage': 'mmxclip.models',
    'MultiFrameIntegrationTransformer': 'mmxclip.models',
    'OpenCLIPPretrained': 'mmxclip.models',
    'VideoClassifier': 'mmxclip.inference.video_classifier',
    'VideoPromptHead': 'mmxclip.models',
}


def __getattr__(name: str) -> Any:
    """Import a component when it is first asked for (PEP 562)."""
    if name not in _COMPONENTS:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    component = getattr(import_module(_COMPONENTS[name]), name)
    globals()[name] = component
    return component


def __dir__() -> list[str]:
    """List the components too, imported or not."""
    return sorted({*globals(), *_COMPONENTS})
