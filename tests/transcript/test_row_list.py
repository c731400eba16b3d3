"""Lists of records that workflow engines pass on unopened."""

from typing import Any

import pytest
from prefect.utilities.collections import visit_collection
from pydantic import BaseModel, ValidationError

from longform.transcript.row_list import Rows
from longform.transcript.segment import Interval
from tests.support.transcripts import output_of, segment_of


class Holder(BaseModel):
    """A model with such a list."""

    parts: Rows[Interval]


PART = {"start_sample": 0, "end_sample": 16_000, "kind": "speech"}


def test_they_are_an_array_to_pydantic() -> None:
    """A model with rows reads and writes the JSON of a model with a tuple."""
    held = Holder.model_validate({"parts": [PART]})
    assert held.parts == (Interval(start_sample=0, end_sample=16_000, kind="speech"),)
    assert Holder.model_validate_json(held.model_dump_json()) == held
    assert Holder.model_json_schema()["properties"]["parts"]["type"] == "array"
    assert held.model_copy(update={"parts": held.parts}) == held


def test_their_items_are_validated() -> None:
    """What is no record is refused, with its place."""
    with pytest.raises(ValidationError, match=r"parts\.0\.kind|parts\n"):
        Holder.model_validate({"parts": [PART | {"kind": "music"}]})


def test_prefect_does_not_open_them() -> None:
    """Prefect looks at a handful of things in a transcript, however many words it has."""
    seen: list[Any] = []
    visit_collection(
        output_of([segment_of(" Yes.", 0.0, 1.0)]), visit_fn=seen.append, return_data=False
    )
    assert not [each for each in seen if type(each).__name__ in ("OutputSegment", "OutputWord")]
