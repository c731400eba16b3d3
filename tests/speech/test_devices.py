"""Where the model runs, and with which numbers."""

import ctranslate2
import pytest

from longform.errors import EnvironmentFaultError
from longform.speech.devices import choose_device, compute_types


@pytest.mark.parametrize(
    ("wanted", "num_gpus", "chosen"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda")],
)
def test_auto_takes_the_gpu_where_there_is_one(
    wanted: str, num_gpus: int, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'auto' follows what CTranslate2 finds; a device that is named is taken."""
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: num_gpus)
    assert choose_device(wanted) == chosen


def test_a_gpu_that_is_not_there_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for CUDA on a machine without it is an error, not a slow run on the CPU."""
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    with pytest.raises(EnvironmentFaultError, match="--device cpu"):
        choose_device("cuda")


def test_a_broken_driver_leaves_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that fails to answer does not fail the run."""

    def broken() -> int:
        raise RuntimeError("CUDA driver version is insufficient")

    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", broken)
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize(
    ("wanted", "device", "expected"),
    [
        ("default", "cuda", ["float16", "int8_float16"]),
        ("default", "cpu", ["float32", "int8_float32"]),
        ("int8", "cuda", ["int8"]),
        ("auto", "cuda", ["auto", "int8_float16"]),
    ],
)
def test_number_types(wanted: str, device: str, expected: list[str]) -> None:
    """'default' depends on the device; int8 has nothing smaller behind it."""
    assert compute_types(wanted, device) == expected
