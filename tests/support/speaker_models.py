"""Tiny ONNX models that sherpa-onnx takes for its own, and a call for them to tell apart.

The first hears a speaker wherever it is loud, the second knows voices by their pitch: enough
to run the whole of the diarizer for real.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from longform.audio import SAMPLE_RATE_HZ

FRAME_SAMPLES = 270
SEGMENTATION = {
    "sample_rate": SAMPLE_RATE_HZ,
    "window_size": SAMPLE_RATE_HZ,
    "receptive_field_size": FRAME_SAMPLES,
    "receptive_field_shift": FRAME_SAMPLES,
    "num_speakers": 3,
    "powerset_max_classes": 2,
    "num_classes": 7,
}
EMBEDDING = {
    "framework": "wespeaker",
    "language": "en",
    "output_dim": 80,
    "sample_rate": SAMPLE_RATE_HZ,
    "normalize_samples": 1,
    "feature_normalize_type": "",
    "comment": "",
    "url": "",
}


def save_segmentation(path: Path, metadata: dict[str, Any] = SEGMENTATION) -> Path:
    """Write a model that takes any loud frame for the first of three speakers."""
    loudness = np.array([[[0, 100, 0, 0, 0, 0, 0]]], np.float32)
    silence_first = np.array([[[1, 0, -9, -9, -9, -9, -9]]], np.float32)
    size = {"kernel_shape": [FRAME_SAMPLES], "strides": [FRAME_SAMPLES]}
    nodes = [
        helper.make_node("Abs", ["x"], ["level"]),
        helper.make_node("AveragePool", ["level"], ["frames"], **size),
        helper.make_node("Transpose", ["frames"], ["column"], perm=[0, 2, 1]),
        helper.make_node("Mul", ["column", "loudness"], ["scores"]),
        helper.make_node("Add", ["scores", "silence"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(loudness, "loudness"),
        numpy_helper.from_array(silence_first, "silence"),
    ]
    return _save(path, nodes, ["N", 1, "L"], ["N", "F", 7], metadata, constants)


def save_embedding(path: Path, metadata: dict[str, Any] = EMBEDDING) -> Path:
    """Write a model whose embedding is the shape of the mean spectrum."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("ReduceMean", ["mean"], ["level"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["mean", "level"], ["y"]),
    ]
    return _save(path, nodes, ["N", "T", 80], ["N", 80], metadata, [])


def two_voices(num_turns: int = 4, turn_sec: float = 5.0) -> np.ndarray:
    """Return int16 turns of a low and a high voice by turns, each with a second of silence."""
    time_sec = np.arange(int(num_turns * turn_sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    low = (time_sec // turn_sec) % 2 == 0
    voice = np.where(low, np.sin(400 * np.pi * time_sec), np.sin(5_000 * np.pi * time_sec))
    voice[time_sec % turn_sec >= turn_sec - 1] = 0
    return (voice * 16_000).astype(np.int16)


def _save(
    path: Path,
    nodes: list[Any],
    takes: list[Any],
    gives: list[Any],
    metadata: dict[str, Any],
    constants: list[Any],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, takes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, gives)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {name: str(value) for name, value in metadata.items()})
    onnx.save(model, path)
    return path
