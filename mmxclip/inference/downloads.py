"""Videos from the web, kept only as long as they are read."""

from __future__ import annotations

import http.client
import shutil
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlparse
from urllib.request import Request, urlopen

from mmxclip.errors import DataError
from mmxclip.version import __version__

TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""


def download(address: str, folder: Path) -> str:
    """Fetch a file over http or https into ``folder``; its path.

    decord's FFmpeg speaks no https, and seeking within an address would fetch
    most of it several times.

    Raises:
        DataError: it cannot be fetched, or ends early.
    """
    target = folder / ('video' + Path(unquote(urlparse(address).path)).suffix[:8])
    try:
        request = Request(address, headers={'User-Agent': f'mmxclip/{__version__}'})
        with urlopen(request, timeout=TIMEOUT) as reply, target.open('wb') as file:
            shutil.copyfileobj(reply, file)
            length = reply.headers.get('Content-Length')
        if length is not None and target.stat().st_size != int(length):
            raise OSError(f'{target.stat().st_size} of {length} bytes arrived')
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = f'status {error.code}' if isinstance(error, HTTPError) else error
        raise DataError(f'{address} could not be downloaded ({reason}); check it') from error
    return str(target)
