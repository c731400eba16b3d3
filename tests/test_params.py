"""Parameters: defaults that are right on their own, bounds that say what they are."""

import pytest
from pydantic import BaseModel, ValidationError

from longform.errors import ParameterError
from longform.params import FallbackParams, TranscribeParams, VadParams, parse_params

MODELS: list[type[BaseModel]] = [TranscribeParams, VadParams, FallbackParams]


def test_the_chains_parameters_keep_their_names_places_and_values() -> None:
    """Clients of the Chain can send what they sent before."""
    assert TranscribeParams().model_dump(
        include={
            "wav_sampling_rate_hz",
            "macro_chunk_size_sec",
            "macro_chunk_overlap_sec",
            "micro_chunk_size_sec",
            "silence_detection_smoothing_num_samples",
        }
    ) == {
        "wav_sampling_rate_hz": 16_000,
        "macro_chunk_size_sec": 300,
        "macro_chunk_overlap_sec": 0,
        "micro_chunk_size_sec": 30,
        "silence_detection_smoothing_num_samples": 1_600,
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_described_and_bounded_and_has_a_default(model: type[BaseModel]) -> None:
    """The form that is drawn from the schema explains every field; numbers have bounds."""
    for name, schema in model.model_json_schema()["properties"].items():
        assert not model.model_fields[name].is_required(), name
        assert schema.get("description", "").endswith("."), name
        if schema.get("type") in ("integer", "number") and "const" not in schema:
            assert {"minimum", "maximum"} <= set(schema), name


def bounded() -> list[tuple[str, str, float]]:
    """Return every bound: dotted field, which bound, its value."""
    found = []
    for prefix, model in (
        ("", TranscribeParams),
        ("vad.", VadParams),
        ("fallback.", FallbackParams),
    ):
        for name, schema in model.model_json_schema()["properties"].items():
            found += [
                (prefix + name, bound, schema[bound])
                for bound in ("minimum", "maximum")
                if bound in schema
            ]
    return found


@pytest.mark.parametrize(("path", "bound", "value"), bounded())
def test_out_of_bounds_names_the_field_and_the_bound(path: str, bound: str, value: float) -> None:
    """One step beyond a bound is refused, in one line with field, bound and value given."""
    beyond = value - 1 if bound == "minimum" else value + 1
    values: dict[str, object] = {path: beyond}
    if "." in path:
        group, name = path.split(".")
        values = {group: {name: beyond}}
    with pytest.raises(ParameterError) as caught:
        parse_params(values)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert f"{value:g}" in message
    assert repr(beyond) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "values",
    [
        {"beam": 5},
        {"vad": {"treshold": 0.5}},
        {"wav_sampling_rate_hz": 8_000},
        {"language": "English"},
        {"chunking": "fixed"},
        {"compute_type": "int4"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_unknown_keys_and_values_are_refused(values: dict[str, object]) -> None:
    """A misspelt name or value is an error, not a default."""
    with pytest.raises(ParameterError, match=next(iter(values))):
        parse_params(values)


def test_search_windows_may_not_meet() -> None:
    """Two boundaries never compete for one sample."""
    with pytest.raises(ParameterError, match="less than half of macro_chunk_size_sec"):
        parse_params({"macro_chunk_size_sec": 10, "split_search_sec": 5})
    assert parse_params({"macro_chunk_size_sec": 10, "split_search_sec": 4.9})


def test_every_complaint_is_in_the_line() -> None:
    """Two mistakes are reported together, so that nobody mends them one run at a time."""
    with pytest.raises(
        ParameterError, match=r"beam_size: .*; .*batch_size: |batch_size: .*; .*beam_size: "
    ):
        parse_params({"beam_size": 0, "batch_size": 0})


def test_parameters_cannot_change_under_way() -> None:
    """What a run was started with is what it ends with."""
    with pytest.raises(ValidationError, match="frozen"):
        TranscribeParams().beam_size = 1


def test_parameters_survive_json() -> None:
    """What a deployment stores is what a worker reads."""
    params = TranscribeParams(language="de", vad=VadParams(threshold=0.3))
    assert TranscribeParams.model_validate_json(params.model_dump_json()) == params
