"""A real S3-compatible server on 127.0.0.1: moto's, with the faults that stores show."""

import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEY_ID, SECRET = "test-key-id", "test-secret-key"
BUCKET = "recordings"

StartResponse = Callable[..., Any]
Environ = MutableMapping[str, Any]


@dataclass
class S3Habits:
    """What the server does wrong; change the fields at any time.

    Attributes:
        answers: status, error code and Retry-After for the next requests for objects.
        cut_bodies: how many of the next bodies end in their middle.
        stall: objects are not answered until the server ends.
        before_get: called before a GET of an object is answered, with its number from 1.
    """

    answers: list[tuple[int, str, str | None]] = field(default_factory=list)
    cut_bodies: int = 0
    stall: bool = False
    before_get: Callable[[int], None] | None = None


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  (its name there)
        """Be quiet."""


class S3Server:
    """The running server: its address, its habits, and what was asked of it."""

    def __init__(self) -> None:
        self.habits = S3Habits()
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, If-Match
        self.ending = threading.Event()
        self._inner = DomainDispatcherApplication(create_backend_app)
        self._http = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.client.create_bucket(Bucket=BUCKET)

    @property
    def url(self) -> str:
        """The endpoint, as AWS_ENDPOINT_URL takes it."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def environment(self) -> dict[str, str]:
        """Return the variables with which a process reaches the server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put(self, key: str, content: bytes | Path, **options: Any) -> str:
        """Store an object; return its s3:// address."""
        content = content if isinstance(content, bytes) else content.read_bytes()
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, **options)
        return f"s3://{BUCKET}/{key}"

    def put_in_parts(self, key: str, parts: list[bytes], **options: Any) -> str:
        """Store an object by a multipart upload; return its s3:// address."""
        place = {"Bucket": BUCKET, "Key": key}
        started = self.client.create_multipart_upload(**place, **options)
        upload = place | {"UploadId": started["UploadId"]}
        done = []
        for number, part in enumerate(parts, 1):
            answer = self.client.upload_part(**upload, PartNumber=number, Body=part)
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
        self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        return f"s3://{BUCKET}/{key}"

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def names(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects that begin with a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """Return what is stored under a name."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def close(self) -> None:
        """Stop listening and let stalled requests go."""
        self.ending.set()
        self.client.close()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        ours = KEY_ID in environ.get("HTTP_AUTHORIZATION", "") + environ.get("QUERY_STRING", "")
        self.requests.append((method, path, environ.get("HTTP_IF_MATCH")))
        if not ours:
            return _refuse(start_response, method, 403, "InvalidAccessKeyId", None)
        if method in ("GET", "HEAD") and path.count("/") > 1:
            if self.habits.stall:
                self.ending.wait()
            if method == "GET" and self.habits.before_get is not None:
                self.habits.before_get(sum(one == "GET" for one, _, _ in self.requests))
            if self.habits.answers:
                status, code, retry_after = self.habits.answers.pop(0)
                return _refuse(start_response, method, status, code, retry_after)
            if method == "GET" and self.habits.cut_bodies:
                self.habits.cut_bodies -= 1
                return _halves(self._inner(environ, start_response))
        found: Iterable[bytes] = self._inner(environ, start_response)
        return found


def _refuse(
    start_response: StartResponse, method: str, status: int, code: str, retry_after: str | None
) -> Iterable[bytes]:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    if retry_after is not None:
        headers.append(("Retry-After", retry_after))
    start_response(f"{status} {code}", headers)
    return [] if method == "HEAD" else [body]


def _halves(body: Iterable[bytes]) -> Iterator[bytes]:
    content = b"".join(body)
    yield content[: len(content) // 2]


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server for as long as the context lasts."""
    server = S3Server()
    try:
        yield server
    finally:
        server.close()
