"""What the Prefect UI draws its form from."""

from typing import Any

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema

from flows.notify import notify
from flows.reprocess import reprocess
from flows.transcribe import transcribe


@pytest.mark.parametrize("flow", [transcribe, reprocess, notify], ids=lambda flow: flow.name)
def test_every_parameter_has_a_description(flow: Flow[..., Any]) -> None:
    """Every field of the form says what it is, nested ones as well."""
    schema = parameter_schema(flow)
    fields = dict(schema.properties)
    for name, model in (schema.definitions or {}).items():
        fields |= {f"{name}.{field}": each for field, each in model["properties"].items()}
    models = {"#/definitions/TranscribeParams"}
    bare = [
        name
        for name, each in fields.items()
        if not each.get("description") and each.get("$ref") not in models
    ]
    assert bare == []
