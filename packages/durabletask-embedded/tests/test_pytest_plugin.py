"""The plugin, in runs of pytest of its own: what fixtures give, what a failure shows, and that it stays out of the way."""

from __future__ import annotations

import re

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
    from datetime import timedelta

    import pytest
    from durabletask_worker import Registry

    registry = Registry()

    @registry.activity
    def charge(ctx, cents: int) -> str:
        if cents > 1000:
            raise ValueError("too much")

        return f"{cents} cents charged"

    @registry.orchestrator
    async def subscription(ctx, cents: int) -> str:
        await ctx.create_timer(timedelta(days=30))
        return await ctx.call_activity(charge, cents)

    @pytest.fixture
    def durabletask_registry():
        return registry
"""
ARGUMENTS = ("-p", "durabletask_embedded.pytest_plugin", "-p", "no:cacheprovider", "-W", "error")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    # Whether this environment has the entry point already or not.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(CONFTEST)

    return pytester


def outcome(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess(*arguments, *ARGUMENTS)


ASYNC = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")


def test_tests_without_asyncio(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        from datetime import timedelta

        def test_a_month(durabletask_client, durabletask_clock, durabletask_activities):
            before = durabletask_clock.datetime
            assert durabletask_client.run_orchestration("subscription", input=5) == "5 cents charged"
            assert durabletask_clock.datetime - before > timedelta(days=30)
            assert durabletask_activities.calls("charge") == 1

        def test_time_is_told_to_pass(durabletask_hub):
            i = durabletask_hub.client.schedule_new_orchestration("subscription", input=7)
            durabletask_hub.advance(timedelta(days=29))
            assert durabletask_hub.client.get_orchestration_state(i).runtime_status.name == "RUNNING"
            durabletask_hub.advance(timedelta(days=2))
            durabletask_hub.settle()
            assert durabletask_hub.client.get_orchestration_state(i).get_output() == "7 cents charged"
        """
    )

    outcome(run).assert_outcomes(passed=2)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_tests_for_asyncio(run: pytest.Pytester, mode: str) -> None:
    run.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.asyncio

        async def test_a_month(durabletask_async_client, durabletask_async_clock, durabletask_async_activities):
            durabletask_async_activities.replace("charge", lambda ctx, cents: "nothing charged")
            assert await durabletask_async_client.run_orchestration("subscription", input=5) == "nothing charged"

        async def test_the_hub(durabletask_async_hub):
            assert await durabletask_async_hub.client.run_orchestration("subscription", input=5) == "5 cents charged"
        """
    )

    outcome(run, *ASYNC, f"--asyncio-mode={mode}").assert_outcomes(passed=2)


@pytest.mark.parametrize("face", ["", "async_"])
def test_a_failure_shows_the_history_and_the_seed(run: pytest.Pytester, face: str) -> None:
    prefix, wait = ("async ", "await ") if face else ("", "")
    run.makepyfile(
        f"""
        import pytest

        @pytest.mark.durabletask(seed=7)
        {prefix}def test_too_much(durabletask_{face}client):
            {wait}durabletask_{face}client.run_orchestration("subscription", input=2000, instance_id="s")
        """
    )

    result = outcome(run, *ASYNC, "--asyncio-mode=auto")
    said = result.stdout.str()

    result.assert_outcomes(failed=1)
    assert "durable histories, seed 7" in said
    assert "subscription 's' FAILED" in said
    assert re.search(r"\+0d 00:00:00\.000  ExecutionStarted subscription 2000\n", said), said
    assert re.search(r"\+0d 00:00:00\.000  TimerCreated #1 due 2024-01-31 ", said)
    assert re.search(r"\+30d 00:00:00\.000  TimerFired of #1", said)
    assert re.search(r"TaskScheduled #2 charge 2000\n", said)
    assert re.search(r"TaskFailed of #2 builtins.ValueError: too much\n", said)


def test_the_option_is_the_seed_of_all(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        import pytest

        @pytest.mark.durabletask(seed=7)
        def test_one(durabletask_hub):
            assert durabletask_hub.seed == 3

        def test_other(durabletask_seed):
            assert durabletask_seed == 3
        """
    )

    outcome(run, "--durabletask-seed=3").assert_outcomes(passed=2)
    assert "durable histories, seed 4" in outcome(run, "--durabletask-seed=4").stdout.str()


def test_without_a_registry_it_says_what_to_write(run: pytest.Pytester) -> None:
    run.makeconftest("")
    run.makepyfile("def test_it(durabletask_client): pass")
    result = outcome(run)

    result.assert_outcomes(errors=1)
    assert "write a fixture `durabletask_registry`" in result.stdout.str()


def test_it_imports_nothing_where_it_is_not_used(run: pytest.Pytester) -> None:
    run.makeconftest("")
    run.makepyfile(
        """
        import sys

        def test_it():
            found = {name.partition(".")[0] for name in sys.modules}
            assert "durabletask_embedded" in found
            assert not found & {"durabletask_server", "durabletask_worker", "grpc", "google"}
        """
    )

    outcome(run).assert_outcomes(passed=1)
