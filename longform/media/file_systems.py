"""fsspec file systems of this process, one per store.

fsspec itself makes one per thread, and for S3 that is a second of loading each. Threads may
share one: its requests run on a loop of fsspec's own.
"""

import os
from functools import lru_cache
from typing import Any

MAX_STORES = 64


def open_file_system(url: str) -> tuple[Any, str]:
    """Return the file system behind a URL of the operator's, and the path in it.

    Raises:
        ImportError: the package for this kind of URL is not installed.
        ValueError: there is no such kind.
    """
    from fsspec.core import url_to_fs

    scheme, separator, rest = url.partition("://")
    if not separator or "::" in url:
        file_system, path = url_to_fs(url)
        return file_system, str(path)
    file_system = _shared(os.getpid(), f"{scheme}://{rest.partition('/')[0]}")
    return file_system, str(file_system._strip_protocol(url))


@lru_cache(MAX_STORES)
def _shared(pid: int, root: str) -> Any:
    from fsspec.core import url_to_fs

    return url_to_fs(root)[0]
