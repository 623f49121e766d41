"""The approvals as a web application, and its days without waiting for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from durabletask_embedded import TestHub
from human_approval import Decision, Wish, app, approval, lifespan, registry, tell

WISH = {"by": "Ada", "what": "a new laptop"}


@asynccontextmanager
async def running(database: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """The application, as a server of it would run it."""
    monkeypatch.setenv("APPROVALS_DB", str(database))
    transport = httpx.ASGITransport(app=app)

    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://approvals") as client:
        yield client


async def test_a_request_outlives_the_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path / "approvals.sqlite3", monkeypatch) as client:
        asked = await client.post("/requests", json=WISH)
        assert asked.status_code == 202
        instance_id = asked.json()["id"]

    async with running(tmp_path / "approvals.sqlite3", monkeypatch) as client:
        before = await client.get(f"/requests/{instance_id}")
        assert before.json()["decision"] is None
        assert (await client.post(f"/requests/{instance_id}/approve?who=Eve")).status_code == 202
        await app.state.client.wait_for_orchestration_completion(instance_id, timeout=30)
        after = await client.get(f"/requests/{instance_id}")

    assert after.json()["status"] == "COMPLETED"
    assert after.json()["decision"] == {"approved": True, "who": "Eve"}


async def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path / "approvals.sqlite3", monkeypatch) as client:
        assert (await client.get("/requests/unknown")).status_code == 404
        assert (await client.post("/requests/unknown/approve?who=Eve")).status_code == 404
        assert (await client.post("/requests", json={"by": "Ada"})).status_code == 422
        assert (await client.post("/requests/unknown/forget?who=Eve")).status_code == 422


async def test_two_days_without_an_answer_are_a_no() -> None:
    async with TestHub(registry) as hub:
        hub.activities.replace(tell, lambda ctx, message: None)
        began = hub.clock.now()
        decision = await hub.client.run_orchestration(approval, input=Wish(by="Ada", what="a yacht"))
        took = timedelta(microseconds=hub.clock.now() - began)

    assert decision == Decision(approved=False, who="nobody")
    assert hub.activities.calls(tell) == 2
    assert timedelta(days=2) <= took < timedelta(days=2, minutes=1)
