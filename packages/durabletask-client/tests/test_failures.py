"""Exceptions as failures, and failures as exceptions again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from durabletask_client import (
    DefaultFailureConverter,
    FailureConverter,
    FailureDetails,
    MappedFailureConverter,
    NonRetryableError,
)


class CardDeclinedError(Exception):
    """An error of a user's."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StolenCardError(CardDeclinedError):
    """What derives from it."""


class TaskError(Exception):
    """Stands for what a worker raises by default."""


def failure(error_type: str, inner: FailureDetails | None = None) -> FailureDetails:
    return FailureDetails(message="", error_type=error_type, inner=inner)


class TestCauses:
    @pytest.mark.parametrize(
        ("error_type", "kind"),
        [
            ("builtins.ValueError", ValueError),
            ("ValueError", ValueError),
            ("builtins.KeyError", LookupError),
            ("KeyError", LookupError),
            ("json.decoder.JSONDecodeError", ValueError),
            (f"{__name__}.StolenCardError", CardDeclinedError),
            ("anything.Else", Exception),
            ("anything.Else", BaseException),
            ("System.InvalidOperationException", "System.InvalidOperationException"),
            ("System.InvalidOperationException", "InvalidOperationException"),
            ("Shop.Orders+DeclinedException", "DeclinedException"),
            ("com.shop.Orders$DeclinedException", "DeclinedException"),
            ("Error", "Error"),
        ],
    )
    def test_found(self, error_type: str, kind: type[BaseException] | str) -> None:
        assert failure(error_type).is_caused_by(kind)
        assert failure("RuntimeError", failure("Middle", failure(error_type))).is_caused_by(kind)

    @pytest.mark.parametrize(
        ("error_type", "kind"),
        [
            ("builtins.LookupError", KeyError),
            ("shop.ValueError", ValueError),
            ("System.InvalidOperationException", "OperationException"),
            ("System.InvalidOperationException", "Other.InvalidOperationException"),
            ("builtins.ValueError", "valueerror"),
            ("System.TimeoutException", TimeoutError),
            ("", ValueError),
        ],
    )
    def test_not_found(self, error_type: str, kind: type[BaseException] | str) -> None:
        assert not failure(error_type).is_caused_by(kind)
        assert not failure("RuntimeError", failure(error_type)).is_caused_by(kind)


class TestGroups:
    def test_the_first_member_is_the_cause(self) -> None:
        found = FailureDetails.from_exception(ExceptionGroup("two failed", [KeyError("a"), ValueError("b")]))

        assert found.error_type == "builtins.ExceptionGroup"
        assert found.inner is not None
        assert found.inner.error_type == "builtins.KeyError"
        assert found.is_caused_by(LookupError)

    def test_groups_in_groups(self) -> None:
        found = FailureDetails.from_exception(ExceptionGroup("", [ExceptionGroup("", [KeyError("a")])]))

        assert found.is_caused_by(KeyError)

    def test_what_it_was_raised_from_goes_first(self) -> None:
        group = ExceptionGroup("", [KeyError("a")])
        group.__cause__ = OSError("disk")
        found = FailureDetails.from_exception(group)

        assert found.is_caused_by(OSError)
        assert not found.is_caused_by(KeyError)

    def test_members_are_mapped(self) -> None:
        failures = MappedFailureConverter()
        failures.map(CardDeclinedError, error_type="CardDeclined")
        inner = failures.to_failure(ExceptionGroup("", [CardDeclinedError("no")])).inner

        assert inner is not None
        assert inner.error_type == "CardDeclined"


class TestRetries:
    def test_what_says_so_is_final(self) -> None:
        class LocalError(NonRetryableError):
            """Derives."""

        class MarkedError(Exception):
            """Says it itself."""

            is_non_retriable = True

        for error in (NonRetryableError("x"), LocalError("x"), MarkedError("x")):
            assert FailureDetails.from_exception(error).is_non_retriable

        assert not FailureDetails.from_exception(ValueError("x")).is_non_retriable

    def test_a_final_cause_does_not_make_final(self) -> None:
        error = ValueError("x")
        error.__cause__ = NonRetryableError("y")

        assert not FailureDetails.from_exception(error).is_non_retriable


class TestMapping:
    def test_crosses_both_ways(self) -> None:
        def to_properties(error: CardDeclinedError) -> Mapping[str, int]:
            return {"code": error.code}

        def from_details(details: FailureDetails) -> CardDeclinedError:
            code = details.properties["code"]
            assert isinstance(code, float)

            return CardDeclinedError(details.message, int(code))

        failures = MappedFailureConverter()
        failures.map(
            CardDeclinedError,
            error_type="CardDeclined",
            non_retryable=True,
            to_properties=to_properties,
            from_details=from_details,
        )
        sent = FailureDetails.from_proto(failures.to_failure(CardDeclinedError("no money", 51)).to_proto())
        default = TaskError()
        error = failures.to_exception(sent, default)

        assert (sent.error_type, sent.is_non_retriable) == ("CardDeclined", True)
        assert isinstance(error, CardDeclinedError)
        assert (str(error), error.code) == ("no money", 51)
        assert error.__cause__ is default

    def test_subclasses_travel_as_what_is_mapped(self) -> None:
        failures = MappedFailureConverter()
        failures.map(CardDeclinedError)
        sent = failures.to_failure(StolenCardError("gone"))

        assert sent.error_type == f"{__name__}.CardDeclinedError"
        assert type(failures.to_exception(sent, TaskError())) is CardDeclinedError

    def test_causes_are_mapped(self) -> None:
        failures = MappedFailureConverter()
        failures.map(CardDeclinedError, error_type="CardDeclined")
        error = RuntimeError("x")
        error.__cause__ = CardDeclinedError("y")

        assert failures.to_failure(error).is_caused_by("CardDeclined")

    @pytest.mark.parametrize("failures", [DefaultFailureConverter(), MappedFailureConverter()])
    def test_the_rest_is_the_default(self, failures: FailureConverter) -> None:
        sent, default = failures.to_failure(CardDeclinedError("x")), TaskError()

        assert sent == FailureDetails.from_exception(CardDeclinedError("x"))
        assert failures.to_exception(sent, default) is default

    def test_what_cannot_be_made_again_is_the_default_with_a_note(self) -> None:
        def broken(_: FailureDetails) -> Exception:
            raise KeyError("code")

        failures, default = MappedFailureConverter(), TaskError()
        failures.map(CardDeclinedError, from_details=broken)

        assert failures.to_exception(failures.to_failure(CardDeclinedError("x")), default) is default
        assert "KeyError('code')" in default.__notes__[0]

    def test_refuses_a_class_or_a_name_twice(self) -> None:
        failures = MappedFailureConverter()
        failures.map(CardDeclinedError, error_type="Card")

        with pytest.raises(ValueError, match="mapped already"):
            failures.map(CardDeclinedError, error_type="Other")

        with pytest.raises(ValueError, match="'Card' is taken"):
            failures.map(StolenCardError, error_type="Card")

    def test_refuses_what_is_no_exception(self) -> None:
        with pytest.raises(TypeError, match="derives from Exception"):
            MappedFailureConverter().map(int)  # type: ignore[type-var] # that is what is under test
