"""What we use of onnxruntime beyond its documentation: `longform/speakers/sherpa.py`."""

from pathlib import Path

import pytest

from tests.support.library import Library

ONNXRUNTIME = Library("onnxruntime")
STATE = "onnxruntime.capi.onnxruntime_pybind11_state"


@pytest.mark.parametrize("name", ["Fail", "InvalidGraph", "InvalidProtobuf"])
def test_errors_of_models_have_the_names_that_we_catch(name: str) -> None:
    """What onnxruntime raises for a file that is no model stands in a private module alone."""
    ONNXRUNTIME.require(
        issubclass(ONNXRUNTIME.find(f"{STATE}.{name}"), Exception), f"{name} is an error"
    )


def test_a_file_that_is_no_model_raises_one_of_them(tmp_path: Path) -> None:
    """So `longform` can say that the file, and not the program, is wrong."""
    path = tmp_path / "no-model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ONNXRUNTIME.find(f"{STATE}.InvalidProtobuf")):
        ONNXRUNTIME.find("onnxruntime.InferenceSession")(str(path))
