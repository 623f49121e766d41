"""What the JSON converter writes, and what it rebuilds from that."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar
from uuid import UUID

import pytest
from durabletask_client import JsonDataConverter


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


class Point(NamedTuple):
    x: int
    at: datetime | None = None


Plain = namedtuple("Plain", ["a", "b"])  # noqa: PYI024 - the untyped kind is what is under test


@dataclass(frozen=True)
class Item:
    name: str
    price: float
    colour: Colour = Colour.RED


@dataclass
class Order:
    id: UUID
    placed: datetime
    items: list[Item]
    by_name: dict[str, Item] = field(default_factory=dict)
    note: str | None = None
    size: tuple[int, int] = (0, 0)
    total: float = field(init=False, default=0.0)


MOMENT = datetime(2026, 11, 24, 12, 30, 1, 5, tzinfo=UTC)
ID = UUID("12345678-1234-5678-1234-567812345678")

converter = JsonDataConverter()


def test_none_is_no_payload() -> None:
    assert converter.serialize(None) is None
    assert converter.deserialize(None) is None
    assert converter.deserialize(None, int) is None


@pytest.mark.parametrize("payload", ["", "null"])
def test_what_other_sdks_send_for_no_payload_is_none(payload: str) -> None:
    assert converter.deserialize(payload, Order) is None


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        ("", '""'),
        (0, "0"),
        (False, "false"),
        ([1, "a", None], '[1, "a", null]'),
        ({"a": {"b": 1.5}}, '{"a": {"b": 1.5}}'),
        ("ü", '"\\u00fc"'),
        (Colour.BLUE, '"blue"'),
        (Level.LOW, "1"),
        (Word.YES, '"yes"'),
        (MOMENT, '"2026-11-24T12:30:01.000005+00:00"'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (ID, '"12345678-1234-5678-1234-567812345678"'),
        (SimpleNamespace(a=1, b=SimpleNamespace(c=2)), '{"a": 1, "b": {"c": 2}}'),
        (Point(1), "[1, null]"),
        (Plain(1, [2]), "[1, [2]]"),
        (Item("pen", 1.5), '{"name": "pen", "price": 1.5, "colour": "red"}'),
        ({"deep": [Item("pen", 2, Colour.BLUE)]}, '{"deep": [{"name": "pen", "price": 2, "colour": "blue"}]}'),
    ],
)
def test_writes_plain_json(value: object, payload: str) -> None:
    assert converter.serialize(value) == payload


def test_reads_plain_values_without_a_hint() -> None:
    assert converter.deserialize('{"a": [1, 2.5, "x", null, true]}') == {"a": [1, 2.5, "x", None, True]}


ORDER = Order(
    id=ID,
    placed=MOMENT,
    items=[Item("pen", 1.5, Colour.BLUE)],
    by_name={"ink": Item("ink", 3.0)},
    size=(2, 3),
)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (ORDER, Order),
        ([ORDER, ORDER], list[Order]),
        ({"a": ORDER}, dict[str, Order]),
        ({1: Colour.RED}, dict[int, Colour]),
        ({Word.YES: 1}, dict[Word, int]),
        (Point(1, MOMENT), Point),
        (Plain(1, 2), Plain),
        ((1, "a"), tuple[int, str]),
        ((ID, ID), tuple[UUID, ...]),
        ((1, 2), tuple),
        ([MOMENT], Sequence[datetime]),
        ({"a": ID}, Mapping[str, UUID]),
        ([1], list),
        ({"a": 1}, dict),
        (SimpleNamespace(a=1), SimpleNamespace),
        (date(2026, 1, 2), date),
        (MOMENT, datetime),
        (Level.LOW, Level),
        (ORDER, Order | None),
        (MOMENT, datetime | None),
        (ID, int | UUID),
        (Item("pen", 1.0), Order | Item),
        ("x", int | str),
        ("x", Any),
        (["x"], object),
    ],
)
def test_rebuilds_what_it_wrote(value: object, hint: object) -> None:
    rebuilt = converter.deserialize(converter.serialize(value), hint)

    assert rebuilt == value
    assert type(rebuilt) is type(value)


@pytest.mark.parametrize(("payload", "hint", "value"), [("3.0", int, 3), ("3", float, 3.0)])
def test_numbers_of_other_languages_fit(payload: str, hint: type, value: object) -> None:
    rebuilt = converter.deserialize(payload, hint)

    assert (rebuilt, type(rebuilt)) == (value, hint)


def test_keys_that_a_dataclass_does_not_know_are_ignored() -> None:
    assert converter.deserialize('{"name": "pen", "price": 1, "weight": 7}', Item) == Item("pen", 1.0)


def test_null_fits_every_optional() -> None:
    assert converter.deserialize("[1, null]", list[int | None]) == [1, None]


@pytest.mark.parametrize(
    ("payload", "hint", "complaint"),
    [
        ('"x"', int, "text where int"),
        ("1.5", int, "a number where int"),
        ("true", str, "a boolean where str"),
        ("[null]", list[int], "null where int"),
        ("[1]", Item, "an array where Item"),
        ('{"name": "pen"}', Item, "price"),
        ("{}", list[int], "an object where list"),
        ('["x"]', list[int], "text where int"),
        ("[1, 2, 3]", tuple[int, int], "array of 3"),
        ("[1, null, 3]", Point, "array of 3"),
        ("[]", Point, "x"),
        ('"x"', int | float, "no alternative fits"),
        ('"green"', Colour, "green"),
        ('"soon"', datetime, "soon"),
        ('"x"', UUID, "badly formed"),
        ("{", dict, "Expecting"),
    ],
)
def test_says_what_does_not_fit(payload: str, hint: object, complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=complaint):
        converter.deserialize(payload, hint)


@pytest.mark.parametrize(
    ("value", "error", "complaint"),
    [
        ({"a": [1, object()]}, TypeError, r"^payload\['a'\]\[1\]: .*object cannot be written as JSON"),
        (Item("pen", float("nan")), ValueError, r"^payload\.price holds nan"),
        ([float("inf")], ValueError, r"^payload\[0\] holds inf"),
        ({object(): 1}, TypeError, "a key of type object"),
        ({ID: "a", str(ID): "b"}, ValueError, "two of its keys"),
        ({float("nan"): 1}, ValueError, "Out of range"),
    ],
)
def test_says_what_cannot_be_written_and_where(value: object, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        converter.serialize(value)


def test_refuses_a_value_that_contains_itself() -> None:
    loop: list[object] = []
    loop.append(loop)

    with pytest.raises(ValueError, match="Circular"):
        converter.serialize(loop)


T = TypeVar("T")
OrderId = NewType("OrderId", UUID)


@dataclass
class Page(Generic[T]):
    entries: list[T]
    next: Page[T] | None = None


@dataclass
class Card:
    number: str
    kind: Literal["card"] = "card"


@dataclass
class Cash:
    amount: Decimal
    kind: Literal["cash"] = "cash"


@dataclass
class Bank:
    number: str
    code: str


class Address(TypedDict):
    street: str
    since: NotRequired[date]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Page([ORDER], Page([ORDER])), Page[Order]),
        (Page([ID]), Page[UUID]),
        ({"street": "x", "since": date(2026, 1, 2)}, Address),
        (time(1, 2, 3), time),
        (timedelta(days=1, seconds=2, microseconds=3), timedelta),
        (-timedelta(seconds=5), timedelta),
        (timedelta(0), timedelta),
        (Decimal("0.10"), Decimal),
        (b"\x00\xff", bytes),
        (bytearray(b"ab"), bytearray),
        (Path("a/b"), Path),
        ({1, 2}, set[int]),
        (frozenset({ID}), frozenset[UUID]),
        ("a", Literal["a", 1]),
        (ID, Annotated[UUID, "of an order"]),
        (ID, OrderId),
        ([OrderId(ID)], list[OrderId]),
        ("1", int | str),
        (1, str | int),
        (1.0, int | float),
        (True, int | bool),
        (Card("4"), Cash | Card),
        (Cash(Decimal("1.5")), Card | Cash),
        (Bank("4", "x"), Card | Bank),
        (Card("4"), Bank | Card),
        ([Card("4"), None], list[Card | Cash | None]),
        ({1: "a"}, dict[int, str]),
        ({1.5: "a"}, dict[float, str]),
        ({True: "a"}, dict[bool, str]),
        ({Colour.BLUE: 1}, dict[Colour, int]),
        ({ID: 1}, dict[UUID, int]),
        ({MOMENT: 1}, dict[datetime, int]),
        ({date(2026, 1, 2): 1}, dict[date, int]),
        ({"1": "a"}, dict[str, str]),
    ],
    ids=str,
)
def test_rebuilds_what_a_hint_asks_for(value: Any, hint: object) -> None:
    rebuilt = converter.deserialize(converter.serialize(value), hint)

    assert rebuilt == value
    assert type(rebuilt) is type(value)

    if isinstance(value, dict):
        assert list(map(type, rebuilt)) == list(map(type, value))


def test_a_naive_datetime_is_taken_as_utc() -> None:
    payload = converter.serialize(MOMENT.replace(tzinfo=None))

    assert payload == converter.serialize(MOMENT)
    assert converter.deserialize('"2026-11-24T12:30:01.000005"', datetime) == MOMENT


@pytest.mark.parametrize(
    ("payload", "hint", "start"),
    [
        ('[{"name": "pen", "price": "x"}]', list[Item], "payload[0].price holds text"),
        ('{"entries": [1, "x"]}', Page[int], "payload.entries[1] holds text"),
        ('{"a": {"b": 1}}', dict[str, dict[str, str]], "payload['a']['b'] holds an integer"),
        ('{"a": 1}', dict[int, int], "payload['a'] holds text"),
        ("[1, [2, true, null]]", tuple[int, tuple[int, bool, int]], "payload[1][2] holds null"),
        ('{"since": "2026-01-02"}', Address, "payload lacks 'street'"),
        ('{"b": "green"}', dict[str, Colour], "payload['b']: "),
        ('["c"]', list[Literal["a", "b"]], "payload[0] holds 'c'"),
        ("1", Ellipsis, "payload is to be a "),
    ],
)
def test_says_where_it_does_not_fit(payload: str, hint: object, start: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        converter.deserialize(payload, hint)

    assert str(caught.value).startswith(start)
