"""The form that Prefect draws from a flow's parameters."""

from typing import Any

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema

from flows.reprocess import reprocess
from flows.transcribe import transcribe


@pytest.mark.parametrize("flow", [transcribe, reprocess], ids=lambda flow: flow.name)
def test_every_parameter_is_described(flow: Flow[Any, Any]) -> None:
    """Each has one line or two of its own, and all but the recording have a default."""
    schema = parameter_schema(flow).model_dump()
    for name, field in schema["properties"].items():
        assert len(field.get("description") or "") > 10, name
    assert set(schema.get("required", [])) <= {"media_url"}
