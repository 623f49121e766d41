"""Human approval inside a web application: a request waits for somebody's decision, for a day at most, and survives the application.

uvicorn --app-dir examples human_approval:app
curl -X POST localhost:8000/requests -H 'content-type: application/json' -d '{"by": "Ada", "what": "a new laptop"}'
curl -X POST localhost:8000/requests/ID/approve?who=Eve
curl localhost:8000/requests/ID
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Literal

from durabletask_client import AsyncTaskHubGrpcClient
from durabletask_embedded import TaskHub
from durabletask_worker import ActivityContext, OrchestrationContext, Registry
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

registry = Registry()


class Wish(BaseModel):
    """What somebody asks for."""

    by: str
    what: str


class Decision(BaseModel):
    """What somebody said to it."""

    approved: bool
    who: str


@registry.activity
def tell(ctx: ActivityContext, message: str) -> None:
    """Tell somebody; a mail, say."""
    print(message)


@registry.orchestrator
async def approval(ctx: OrchestrationContext, wish: Wish) -> Decision:
    """Wait for a decision. After a day the boss is asked, and after two days it is a no."""
    for asked in ("the team lead", "the boss"):
        await ctx.call_activity(tell, f"{asked}: {wish.by} asks for {wish.what}")
        ctx.set_custom_status(f"waits for {asked}")

        try:
            return await ctx.wait_for_external_event("decision", data_type=Decision, timeout=timedelta(days=1))
        except TimeoutError:
            continue

    return Decision(approved=False, who="nobody")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The hub lives as long as the application, and its orchestrations live on in the file."""
    async with TaskHub(os.environ.get("APPROVALS_DB", "approvals.sqlite3"), registry) as hub:
        app.state.client = hub.client

        yield


app = FastAPI(title="Approvals", lifespan=lifespan)


def client_of(request: Request) -> AsyncTaskHubGrpcClient:
    """The hub's client."""
    client: AsyncTaskHubGrpcClient = request.app.state.client

    return client


Client = Annotated[AsyncTaskHubGrpcClient, Depends(client_of)]


@app.post("/requests", status_code=202)
async def ask(wish: Wish, client: Client) -> dict[str, str]:
    """Ask for something."""
    return {"id": await client.schedule_new_orchestration(approval, input=wish)}


@app.get("/requests/{instance_id}")
async def look(instance_id: str, client: Client) -> dict[str, object]:
    """See how it stands."""
    state = await client.get_orchestration_state(instance_id)

    if state is None:
        raise HTTPException(404, f"there is no request {instance_id!r}")

    return {
        "status": state.runtime_status.name,
        "waits": state.get_custom_status(str),
        "decision": state.get_output(Decision),
    }


@app.post("/requests/{instance_id}/{verb}", status_code=202)
async def decide(instance_id: str, verb: Literal["approve", "reject"], who: str, client: Client) -> None:
    """Say yes or no."""
    if await client.get_orchestration_state(instance_id) is None:
        raise HTTPException(404, f"there is no request {instance_id!r}")

    decision = Decision(approved=verb == "approve", who=who)
    await client.raise_orchestration_event(instance_id, "decision", data=decision)
