"""Long lists of records in a model that others pass on: they look at them whole, or not at all."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, get_args, overload

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Row = TypeVar("Row", covariant=True)


class Rows(Sequence[Row]):
    """An immutable list of records; as pydantic and JSON see it, an array.

    It is neither a list nor a tuple, so that a workflow engine which looks for futures in what a
    task or a flow is given and returns does not open it. In the five fields of each of the 90,000
    words of ten hours that took 2.4 s, in each step that a transcript passed through.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[Row] = ()) -> None:
        self._items: tuple[Row, ...] = tuple(items)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        return self._items[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return self._items == (other._items if isinstance(other, Rows) else other)

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        return repr(self._items)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read from any list, and write as one."""
        array = handler.generate_schema(tuple[get_args(source)[0], ...])  # type: ignore[misc]
        opened = core_schema.no_info_before_validator_function(_items, array)
        return core_schema.no_info_after_validator_function(
            cls,
            opened,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _items, return_schema=array
            ),
        )


def _items(value: Any) -> Any:
    return value._items if isinstance(value, Rows) else value
