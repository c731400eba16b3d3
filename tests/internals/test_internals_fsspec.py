"""What we use of fsspec, s3fs and gcsfs beyond their documentation: `cloud_clients.py`."""

import inspect

import pytest

from longform.storage.store_errors import _FOREIGN_ERRORS
from tests.support.library import Library

FSSPEC, S3FS, GCSFS = Library("fsspec"), Library("s3fs"), Library("gcsfs")
# Of the libraries whose errors fsspec passes on; adlfs is not installed for the tests.
BELOW = {
    "botocore": Library("botocore"),
    "google": Library("google-auth"),
    "gcsfs": GCSFS,
    "aiohttp": Library("aiohttp"),
}


def test_a_file_system_says_how_it_is_made_from_a_url() -> None:
    """Without `url_to_fs`, which would follow `::` to other file systems."""
    file_system = "fsspec.AbstractFileSystem"
    FSSPEC.require_call(f"{file_system}._get_kwargs_from_urls", "memory://folder")
    FSSPEC.require_call(f"{file_system}._strip_protocol", "memory://folder")
    FSSPEC.require(FSSPEC.find(f"{file_system}.async_impl") is False, "it has no coroutines")
    known = FSSPEC.find("fsspec.registry.known_implementations")
    FSSPEC.require({"s3", "gs", "az"} <= set(known), "it knows the kinds of stores")


def test_an_asynchronous_file_system_has_coroutines_on_a_loop_of_its_own() -> None:
    """`_info` and `_cat_file` run on `loop`, where a read that hangs can be cancelled."""
    file_system = "fsspec.asyn.AsyncFileSystem"
    FSSPEC.require_call(f"{file_system}._info", None, "path")
    FSSPEC.require_call(f"{file_system}._cat_file", None, "path", start=0, end=1)
    FSSPEC.require(isinstance(FSSPEC.find(f"{file_system}.loop"), property), "it has a loop")


def test_s3_calls_go_to_the_client_as_they_are() -> None:
    """Ranges and If-Match are ours to give; s3fs adds no retries of its own."""
    file_system = "s3fs.S3FileSystem"
    S3FS.require_call(f"{file_system}._call_s3", None, "get_object", Bucket="b", Key="k", Range="")
    call = S3FS.find(f"{file_system}._call_s3")
    S3FS.require(inspect.iscoroutinefunction(call), "_call_s3 is a coroutine")
    S3FS.require("retries" in call.__code__.co_names, "_call_s3 goes by `retries`")
    S3FS.require_call(f"{file_system}.split_path", None, "s3://b/k")
    S3FS.require_call(f"{file_system}.connect", None)
    S3FS.require_call(
        file_system,
        version_aware=True,
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={},
    )


def test_gcs_calls_go_to_the_server_as_they_are() -> None:
    """Ranges and ifGenerationMatch are ours to give; the metadata comes as JSON."""
    file_system = "gcsfs.GCSFileSystem"
    call = f"{file_system}._call"
    GCSFS.require_call(call, None, "GET", "b/{}/o/{}", "bucket", "key", json_out=True)
    GCSFS.require_call(call, None, "GET", "url", headers={}, ifGenerationMatch="1")
    GCSFS.require(inspect.iscoroutinefunction(GCSFS.find(call)), "_call is a coroutine")
    GCSFS.require_call(f"{file_system}.url", None, "bucket/key")
    made = GCSFS.find(f"{file_system}._strip_protocol")("gs://bucket/key")
    GCSFS.require(made == "bucket/key", "_strip_protocol leaves bucket and key")
    GCSFS.require_call(f"{file_system}.split_path", None, "bucket/key")


@pytest.mark.parametrize(("module", "name"), _FOREIGN_ERRORS)
def test_errors_of_stores_have_the_names_that_we_know(module: str, name: str) -> None:
    """They are looked up by name where they are loaded, so one that has gone would break that."""
    if (library := BELOW.get(module.partition(".")[0])) is not None:
        library.find(f"{module}.{name}")
