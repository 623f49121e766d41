"""Pydantic models as payloads: pydantic is no dependency, and used where a program uses it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pytest
from durabletask_client import JsonDataConverter

pydantic = pytest.importorskip("pydantic")

from pydantic import BaseModel, Field  # noqa: E402 - after it is known to be there


class Line(BaseModel):
    name: str
    count: int = Field(default=1, ge=1)
    at: datetime | None = None


class Basket(BaseModel):
    lines: list[Line]
    kind: Literal["basket"] = "basket"


class Gift(BaseModel):
    text: str
    kind: Literal["gift"] = "gift"


class Aliased(BaseModel):
    first_name: str = Field(alias="firstName")


@dataclass
class Parcel:
    line: Line
    more: list[Line]
    content: Gift | Basket


LINE = Line(name="pen", count=2, at=datetime(2026, 1, 2, tzinfo=UTC))
converter = JsonDataConverter()


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (LINE, Line),
        (Basket(lines=[LINE]), Basket),
        (LINE, Line | None),
        ([LINE], list[Line]),
        ({"a": LINE}, dict[str, Line]),
        (Parcel(LINE, [LINE], Basket(lines=[])), Parcel),
        (Gift(text="x"), Basket | Gift),
        (Aliased(firstName="x"), Aliased),
    ],
    ids=["model", "nested", "optional", "list", "dict", "dataclass", "union", "alias"],
)
def test_models_are_rebuilt(value: object, hint: object) -> None:
    rebuilt = converter.deserialize(converter.serialize(value), hint)

    assert rebuilt == value
    assert type(rebuilt) is type(value)


@pytest.mark.parametrize(
    ("payload", "hint", "start"),
    [
        ('{"name": "pen", "count": 0}', Line, "payload.count: "),
        ('{"lines": [{"name": "pen"}, {"name": 1}]}', Basket, "payload.lines[1].name: "),
        ('[{"name": "pen"}, {}]', list[Line], "payload[1].name: "),
        ('{"line": {"name": 1}}', Parcel, "payload.line.name: "),
    ],
)
def test_says_where_a_model_does_not_fit(payload: str, hint: object, start: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(start)}"):
        converter.deserialize(payload, hint)
