"""Opening and decoding videos so that no file can end or stall a run unnoticed."""

from __future__ import annotations

from mmcv.transforms import BaseTransform

from mmxclip.datasets.bad_videos import BadVideos, SharedNames
from mmxclip.datasets.video_readers import BlankReader, IsolatedReader, LocalReader, VideoReader
from mmxclip.errors import ConfigError, DataError
from mmxclip.registry import TRANSFORMS

UNMATCHED = -1
"""Label of a placeholder: no prediction equals it, in whatever metric."""


@TRANSFORMS.register_module()
class RobustDecordInit(BaseTransform):
    """Open a video with decord, in a process of its own.

    MMAction2's ``DecordInit`` lets errors through, which end the run, and
    shares the process with a decoder that aborts or hangs on some files. Here a
    child process per loader worker decodes; it is killed when a request takes
    longer than ``timeout`` and restarted for the next video.

    decord also gives out pictures that are not the video's: a neighbour in the
    place of one that is missing, blocks that FFmpeg invented for those it could
    not decode. And whether it raises for damage beyond the frames asked for
    depends on how far its threads have read ahead. So each video is decoded
    whole when it is first met, and refused when decord substitutes more than 5 %
    of its frames or FFmpeg reports damage: the verdict is the same in each run,
    on each machine and for all frames. What cannot be found is damage that
    leaves a valid stream of other pixels; that takes a checksum of the file.

    Required Keys: ``filename``.

    Added Keys: ``video_reader``, ``total_frames``, ``avg_fps`` and, until the
    decoding step, ``bad_videos``; for a video that cannot be read with
    ``on_error='count'`` also ``unreadable`` (the reason) and ``true_label``,
    while ``label`` becomes -1.

    Args:
        timeout: seconds that opening and checking, or decoding one sample, may
            take.
        isolate: False decodes in this process: no protection from crashes and
            hangs, and FFmpeg's reports are not heard.
        num_threads: of the decoder.
        check_frames: videos of up to so many frames are decoded whole when first
            met. Longer ones are judged by the frames asked for, which depends
            on timing as said above. 0 takes decord's word for everything.
        on_error: ``'raise'``, ``'replace'`` (for training) or ``'count'`` (for
            testing), see :class:`mmxclip.datasets.bad_videos.BadVideos`. A video
            without a label, as MMAction2's inferencers pass it, is not counted:
            there is nothing to score its placeholder against, so the error is
            raised.
        max_bad_share: share of bad videos, 0 to 1, that ``'replace'`` bears.
    """

    def __init__(
        self,
        timeout: float = 60.0,
        isolate: bool = True,
        num_threads: int = 1,
        check_frames: int = 2000,
        on_error: str = 'raise',
        max_bad_share: float = 0.05,
    ) -> None:
        if timeout <= 0:
            raise ConfigError(f'timeout={timeout} must be more than 0 seconds')
        self.timeout = timeout
        self.isolate = isolate
        self.num_threads = num_threads
        self.check_frames = check_frames
        self.bad_videos = BadVideos(on_error, max_bad_share)
        self.sound_videos = SharedNames(1 << 19)

    def transform(self, results: dict) -> dict | None:
        """Open the video; None when it is to be replaced.

        Raises:
            DataError: as ``on_error`` says.
        """
        filename = results['filename']
        self.bad_videos.opened()
        reader: VideoReader
        try:
            reader = self._open(filename)
        except DataError as error:
            require_label(results, error, self.bad_videos)
            self.bad_videos.failed(error, filename)
            if self.bad_videos.policy == 'replace':
                return None
            reader = mark_unreadable(results, error)
        results['video_reader'] = reader
        results['total_frames'] = reader.total_frames
        results['avg_fps'] = reader.avg_fps
        results['bad_videos'] = self.bad_videos
        return results

    def _open(self, filename: str) -> VideoReader:
        check_frames = 0 if filename in self.sound_videos else self.check_frames
        reader: VideoReader
        if self.isolate:
            reader = IsolatedReader(filename, self.timeout, self.num_threads, check_frames)
        else:
            reader = LocalReader(filename, self.num_threads, check_frames)
        if reader.total_frames < 1:
            raise DataError(f'{filename} has no frames; leave it out of the annotation file')
        if reader.total_frames <= check_frames:
            self.sound_videos.add(filename)
        return reader

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(timeout={self.timeout}, isolate={self.isolate}, '
            f'num_threads={self.num_threads}, check_frames={self.check_frames}, '
            f'on_error={self.bad_videos.policy!r}, max_bad_share={self.bad_videos.max_share})'
        )


@TRANSFORMS.register_module()
class RobustDecordDecode(BaseTransform):
    """Decode the sampled frames of a video that :class:`RobustDecordInit` opened.

    Required Keys: ``video_reader``, ``frame_inds``, ``bad_videos``, ``filename``.

    Added Keys: ``imgs``, a list of RGB uint8 ``(H, W, 3)``; ``original_shape``
    and ``img_shape``, ``(H, W)``.
    """

    def transform(self, results: dict) -> dict | None:
        """Decode; None when the video is to be replaced.

        Raises:
            DataError: as ``on_error`` of the opening step says.
        """
        reader = results.pop('video_reader')
        bad_videos: BadVideos = results.pop('bad_videos')
        indices = results['frame_inds'].reshape(-1)
        try:
            pixels = reader.decode(indices)
        except DataError as error:
            require_label(results, error, bad_videos)
            bad_videos.failed(error, results['filename'])
            if bad_videos.policy == 'replace':
                return None
            pixels = mark_unreadable(results, error).decode(indices)
        results['frame_inds'] = indices
        results['imgs'] = list(pixels)
        results['original_shape'] = results['img_shape'] = pixels.shape[1:3]
        return results


def require_label(results: dict, error: DataError, bad_videos: BadVideos) -> None:
    """Raise ``error`` where a placeholder would come out as somebody's prediction."""
    label = results.get('label', UNMATCHED)
    if bad_videos.policy == 'count' and isinstance(label, int) and label == UNMATCHED:
        raise error


def mark_unreadable(results: dict, error: DataError) -> BlankReader:
    """Turn a sample into a placeholder that no prediction can match.

    Set ``meta_keys`` of ``PackActionInputs`` to carry ``filename``,
    ``unreadable`` and ``true_label`` to :class:`VideoAccMetric`, which lists it.
    """
    reason, _, remedy = str(error).rpartition('; ')  # the remedy is the same for each
    results['unreadable'] = reason or remedy
    results['true_label'] = results.get('label', UNMATCHED)
    results['label'] = UNMATCHED
    return BlankReader()
