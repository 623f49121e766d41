/** What a client does to an orchestration that runs: terminate it, suspend it, resume it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { terminateOptions } from "@microsoft/durabletask-js";
import { client, ended, fresh, historyTypes, onlyWorker, output, reaches, run, status, until } from "./hub.js";

const worker = onlyWorker();

worker.orchestrator("waits", async function* (ctx) {
  return yield ctx.waitForExternalEvent("go");
});

test("a terminated orchestration ends with the output that it was given", async () => {
  const id = await client.scheduleNewOrchestration("waits");
  await reaches(id, "RUNNING");
  await client.terminateOrchestration(id, { reason: "enough" });
  const state = await ended(id);
  assert.equal(status(state), "TERMINATED");
  assert.deepEqual(JSON.parse(state.serializedOutput), { reason: "enough" });
  assert.equal(state.failureDetails, undefined);
  assert.deepEqual((await historyTypes(id)).slice(-2), ["ExecutionTerminated", "ExecutionCompleted"]);
});

test("terminating what has ended changes nothing", async () => {
  const id = await client.scheduleNewOrchestration("waits");
  await client.raiseOrchestrationEvent(id, "go", 1);
  await ended(id);
  await client.terminateOrchestration(id, "too late");
  assert.equal(output(await client.getOrchestrationState(id)), 1);
});

test("an orchestration that no worker has is terminated, too", async () => {
  const id = await client.scheduleNewOrchestration("waits", undefined, { startAt: new Date(Date.now() + 3_600_000) });
  await client.terminateOrchestration(id, "never mind");
  const state = await ended(id);
  assert.equal(status(state), "TERMINATED");
  assert.equal(JSON.parse(state.serializedOutput), "never mind");
});

worker.orchestrator("family", async function* (ctx, [child, ...others]) {
  if (child === undefined) {
    return yield ctx.waitForExternalEvent("go");
  }

  return yield ctx.callSubOrchestrator("family", others, { instanceId: child });
});

async function familyOfThree() {
  const ids = [fresh("parent"), fresh("child"), fresh("grandchild")];
  await client.scheduleNewOrchestration("family", ids.slice(1), ids[0]);
  await reaches(ids[2], "RUNNING");

  return ids;
}

test("a recursive termination ends children and grandchildren", async () => {
  const ids = await familyOfThree();
  await client.terminateOrchestration(ids[0], terminateOptions({ recursive: true, output: "all of you" }));

  for (const id of ids) {
    const state = await ended(id);
    assert.equal(status(state), "TERMINATED");
    assert.equal(JSON.parse(state.serializedOutput), "all of you");
  }
});

test("a termination leaves children alone unless it is recursive", async () => {
  const ids = await familyOfThree();
  await client.terminateOrchestration(ids[0], "only you");
  assert.equal(status(await ended(ids[0])), "TERMINATED");
  await client.raiseOrchestrationEvent(ids[2], "go", "on");
  assert.equal(output(await ended(ids[2])), "on");
  assert.equal(output(await ended(ids[1])), "on");
  assert.equal(status(await client.getOrchestrationState(ids[0])), "TERMINATED");
});

test("a parent sees that its child was terminated as a failure", async () => {
  const ids = await familyOfThree();
  await client.terminateOrchestration(ids[2], null);
  assert.equal(status(await ended(ids[1])), "FAILED");
  assert.equal(status(await ended(ids[0])), "FAILED");
});

worker.orchestrator("adds", async function* (ctx) {
  const first = yield ctx.waitForExternalEvent("number");
  ctx.setCustomStatus(first);

  return first + (yield ctx.waitForExternalEvent("number"));
});

test("a suspended orchestration does nothing until it is resumed, and then has all its events", async () => {
  const id = await client.scheduleNewOrchestration("adds");
  await reaches(id, "RUNNING");
  await client.suspendOrchestration(id);
  await reaches(id, "SUSPENDED");

  await client.raiseOrchestrationEvent(id, "number", 30);
  await client.raiseOrchestrationEvent(id, "number", 12);
  // Whatever was going to happen to it would have happened before all this.
  output(await run("quick"));
  const state = await client.getOrchestrationState(id);
  assert.equal(status(state), "SUSPENDED");
  assert.equal(state.serializedCustomStatus, undefined);

  await client.resumeOrchestration(id);
  assert.equal(output(await ended(id)), 42);

  const types = await historyTypes(id);
  assert.ok(types.indexOf("ExecutionSuspended") < types.indexOf("ExecutionResumed"));
});

worker.activity("echo", (_, value) => value);
worker.orchestrator("quick", async function* (ctx) {
  return yield ctx.callActivity("echo", 1);
});

test("suspending twice is as suspending once", async () => {
  const id = await client.scheduleNewOrchestration("waits");
  await client.suspendOrchestration(id);
  await client.suspendOrchestration(id);
  await reaches(id, "SUSPENDED");
  await client.resumeOrchestration(id);
  await reaches(id, "RUNNING");
  await client.raiseOrchestrationEvent(id, "go", "done");
  assert.equal(output(await ended(id)), "done");
});

test("resuming what is not suspended changes nothing", async () => {
  const id = await client.scheduleNewOrchestration("waits");
  await client.resumeOrchestration(id);
  await client.raiseOrchestrationEvent(id, "go", "done");
  assert.equal(output(await ended(id)), "done");
});

test("a suspended orchestration can be terminated", async () => {
  const id = await client.scheduleNewOrchestration("waits");
  await client.suspendOrchestration(id);
  await reaches(id, "SUSPENDED");
  await client.terminateOrchestration(id, "enough");
  assert.equal(status(await ended(id)), "TERMINATED");
});

worker.orchestrator("naps", async function* (ctx) {
  ctx.setCustomStatus("napping");
  yield ctx.createTimer(0.4);

  return "rested";
});

test("a timer that came due during a suspension fires on resumption", async () => {
  const id = await client.scheduleNewOrchestration("naps");
  const { timestamp } = await until("its timer", async () =>
    (await client.getOrchestrationHistory(id)).find((event) => event.type === "TimerCreated"),
  );
  await client.suspendOrchestration(id);
  await reaches(id, "SUSPENDED");
  await until("the timer is due", () => Date.now() > timestamp.getTime() + 500);
  assert.equal(status(await client.getOrchestrationState(id)), "SUSPENDED");
  await client.resumeOrchestration(id);
  assert.equal(output(await ended(id)), "rested");
});
