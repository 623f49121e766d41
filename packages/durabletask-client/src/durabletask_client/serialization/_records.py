"""Forms of classes with fields: dataclasses, attrs classes, named tuples, typed dicts and pydantic models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, is_typeddict

from durabletask_client.serialization._annotations import field_hints
from durabletask_client.serialization._containers import FormOf, row
from durabletask_client.serialization._forms import ANYTHING, Form, MisfitError, Shape, refused, wanted
from durabletask_client.serialization._scalars import tags

_OBJECT: frozenset[type] = frozenset({dict})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    key: str
    """Its name in JSON."""
    argument: str
    """Its name where the class is called."""
    hint: Any
    is_required: bool


def record(cls: Any, arguments: Sequence[object], name: str, form_of: FormOf) -> Form | None:
    """The form of a class with fields; None of any other class.

    Args:
        cls: The class.
        arguments: What it is parametrized with.
        name: The hint.
        form_of: Finds the forms of its fields.
    """
    if is_typeddict(cls):
        return _form(cls, name, lambda: _typed_dict_fields(cls, arguments), form_of, keeps_unknown=True)

    if is_dataclass(cls):
        return _form(cls, name, lambda: _dataclass_fields(cls, arguments), form_of)

    if hasattr(cls, "__attrs_attrs__"):
        return _form(cls, name, lambda: _attrs_fields(cls, arguments), form_of)

    if hasattr(cls, "model_validate_json") and hasattr(cls, "model_dump"):
        return _model(cls, name)

    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _named_tuple(cls, arguments, name, form_of)

    return None


def _form(
    cls: Any, name: str, find_fields: Callable[[], Iterable[_Field]], form_of: FormOf, *, keeps_unknown: bool = False
) -> Form:
    # Looked into when the first object comes: classes may hold themselves.
    @cache
    def known() -> tuple[_Field, ...]:
        return tuple(find_fields())

    @cache
    def steps() -> tuple[tuple[str, str, type | None, Callable[[Any], object]], ...]:
        forms = [(field, form_of(field.hint)) for field in known()]

        return tuple((field.key, field.argument, form.plain, form.rebuild) for field, form in forms)

    def rebuild(value: object) -> object:
        if not isinstance(value, dict):
            raise wanted(value, name)

        given: dict[str, object] = {**value} if keeps_unknown else {}
        key = ""

        try:
            for key, argument, plain, each in steps():
                if key in value:
                    entry = value[key]
                    given[argument] = entry if type(entry) is plain else each(entry)
        except MisfitError as misfit:
            if key:
                misfit.within(f".{key}")

            raise

        if keeps_unknown and (lacking := _lacking(known(), value, name)) is not None:
            raise lacking

        try:
            return cls(**given)
        except Exception as error:
            raise _lacking(known(), value, name) or refused(error, f"{name} refuses it: ") from error

    def shape() -> Shape:
        return Shape(
            known=frozenset(field.key for field in known()),
            required=frozenset(field.key for field in known() if field.is_required),
            tags={field.key: tags(get_args(field.hint)) for field in known() if get_origin(field.hint) is Literal},
        )

    return Form(rebuild=rebuild, name=name, exact=_OBJECT, shape=cache(shape))


def _hints(cls: Any, arguments: Sequence[object]) -> Mapping[str, Any]:
    try:
        return field_hints(cls, arguments)
    except NameError as error:
        raise MisfitError(
            f": an annotation of {cls.__qualname__} names what cannot be found ({error}); "
            "define it at the top of a module, and import it when the program runs"
        ) from error


def _lacking(known: Sequence[_Field], value: Mapping[str, object], name: str) -> MisfitError | None:
    lacking = [field.key for field in known if field.is_required and field.key not in value]

    return MisfitError(f" lacks {', '.join(map(repr, lacking))}, which {name} needs") if lacking else None


def _dataclass_fields(cls: Any, arguments: Sequence[object]) -> Iterable[_Field]:
    hints = _hints(cls, arguments)

    for field in fields(cls):
        if field.init:
            yield _Field(
                key=field.name,
                argument=field.name,
                hint=hints[field.name],
                is_required=field.default is MISSING and field.default_factory is MISSING,
            )


def _attrs_fields(cls: Any, arguments: Sequence[object]) -> Iterable[_Field]:
    hints = _hints(cls, arguments)
    # Whoever defined the class has imported it.
    nothing = sys.modules["attr"].NOTHING

    for field in cls.__attrs_attrs__:
        if field.init:
            yield _Field(
                key=field.name,
                argument=field.alias,
                hint=hints.get(field.name, Any),
                is_required=field.default is nothing,
            )


def _typed_dict_fields(cls: Any, arguments: Sequence[object]) -> Iterable[_Field]:
    for key, hint in _hints(cls, arguments).items():
        yield _Field(key=key, argument=key, hint=hint, is_required=key in cls.__required_keys__)


def _named_tuple(cls: Any, arguments: Sequence[object], name: str, form_of: FormOf) -> Form:
    names: tuple[str, ...] = cls._fields
    needed = len(names) - len(cls._field_defaults)

    @cache
    def fitting() -> Form:
        hints = _hints(cls, arguments)
        items = [form_of(hints.get(each, Any)) for each in names]

        return row(lambda parts: cls(*parts), items, name, needed)

    def rebuild(value: object) -> object:
        if isinstance(value, list) and len(value) < needed:
            raise MisfitError(f" lacks {', '.join(map(repr, names[len(value) : needed]))}, which {name} needs")

        return fitting().rebuild(value)

    return Form(rebuild=rebuild, name=name, exact=frozenset({list}))


def _model(cls: Any, name: str) -> Form:
    """The form of a pydantic model, known by its methods: pydantic itself is needed by those only who define one."""

    def rebuild(value: object) -> object:
        try:
            # As JSON: what is strict in Python lets JSON have its texts for dates and the like.
            return cls.model_validate_json(json.dumps(value))
        except ValueError as error:
            raise _invalid(error) from error

    def shape() -> Shape | None:
        fields = getattr(cls, "model_fields", None)

        if fields is None:
            return None

        return Shape(
            known=frozenset(fields) | {field.alias for field in fields.values() if field.alias},
            required=frozenset(),
            tags={
                field.alias or key: tags(get_args(field.annotation))
                for key, field in fields.items()
                if get_origin(field.annotation) is Literal
            },
        )

    is_root = getattr(cls, "__pydantic_root_model__", False)

    return Form(
        rebuild=rebuild, name=name, exact=ANYTHING if is_root else _OBJECT, shape=None if is_root else cache(shape)
    )


def _invalid(error: Any) -> MisfitError:
    """The first of what pydantic complains about, at its place."""
    problems = error.errors() if hasattr(error, "errors") else []

    if not problems:
        return refused(error)

    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    misfit = MisfitError(f": {problems[0]['msg']}{more}", ValueError)

    for step in reversed(problems[0]["loc"]):
        misfit.within(f"[{step}]" if isinstance(step, int) else f".{step}")

    return misfit
