"""X-CLIP for MMAction2: image-text models extended to video recognition."""

from mmxclip import compat

compat.mend()  # must run before anything imports ``mmaction.models``

from mmxclip import registry  # noqa: E402
from mmxclip.version import __version__  # noqa: E402

__all__ = ['__version__', 'registry']
