"""An emulator of Google Cloud Storage on 127.0.0.1: gcp-storage-emulator, in memory.

It takes no notice of `ifGenerationMatch`, so that a replaced object of the same length cannot
be tested with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx
from gcp_storage_emulator.server import create_server

BUCKET = "recordings"


class GcsServer:
    """The running emulator and its address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def put(self, key: str, content: bytes) -> str:
        """Store an object; return its gs:// address."""
        place = f"{self.url}/upload/storage/v1/b/{BUCKET}/o"
        query = {"uploadType": "media", "name": key}
        answer = httpx.post(place, params=query, content=content, timeout=60, trust_env=False)
        answer.raise_for_status()
        return f"gs://{BUCKET}/{key}"

    def delete(self, key: str) -> None:
        """Remove an object."""
        place = f"{self.url}/storage/v1/b/{BUCKET}/o/{quote(key, safe='')}"
        httpx.delete(place, timeout=60, trust_env=False).raise_for_status()


@contextmanager
def gcs_server() -> Iterator[GcsServer]:
    """Run an emulator for as long as the context lasts."""
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    try:
        yield GcsServer(f"http://127.0.0.1:{server._api._httpd.server_port}")
    finally:
        server.stop()
