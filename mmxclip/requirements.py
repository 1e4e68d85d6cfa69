"""The one dependency that installing mmxclip does not bring by itself: MMCV.

``mmcv`` and ``mmcv-lite`` write the same files, so a core dependency on either
would damage an installation of the other.
"""

from __future__ import annotations

from mmengine.utils import digit_version

LOWEST, BEYOND = '2.0.0rc4', '2.2.0'  # what MMAction2 1.2 asserts
WAY_OUT = (
    'pip install "mmxclip[all]" brings mmcv-lite, which is enough; '
    f'a full mmcv >={LOWEST},<{BEYOND} serves as well'
)


def check_mmcv() -> None:
    """Say what is missing before MMAction2's own import fails with less.

    Raises:
        ImportError: MMCV is absent, or of a version that MMAction2 refuses;
            ``name`` is ``'mmcv'``.
    """
    try:
        import mmcv
    except ModuleNotFoundError as error:
        if error.name != 'mmcv':
            raise
        raise ImportError(f'mmcv is not installed; {WAY_OUT}', name='mmcv') from None
    if not digit_version(LOWEST) <= digit_version(mmcv.__version__) < digit_version(BEYOND):
        raise ImportError(
            f'mmcv {mmcv.__version__} is installed, which MMAction2 refuses; {WAY_OUT}',
            name='mmcv',
        )
