/** What fails, how it is told, and what is tried again. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { RetryPolicy, whenAll } from "@microsoft/durabletask-js";
import { call, client, collect, ended, fresh, historyTypes, messages, onlyWorker, output, run, status } from "./hub.js";

const worker = onlyWorker();
const attempts = new Map();

class OutOfStock extends Error {
  name = "OutOfStock";
}

function attempt(key) {
  attempts.set(key, (attempts.get(key) ?? 0) + 1);

  return attempts.get(key);
}

worker.activity("order", (_, what) => {
  throw new OutOfStock(`no ${what} left`, { cause: new RangeError("0 < 1", { cause: new Error("the root of it") }) });
});
worker.orchestrator("orders", async function* (ctx, what) {
  yield ctx.callActivity("order", what);
});

test("an activity that fails, fails the orchestration that does not catch it", async () => {
  const state = await run("orders", "bread");
  assert.equal(status(state), "FAILED");
  assert.equal(state.failureDetails.errorType, "TaskFailedError");
  assert.match(state.failureDetails.message, /no bread left/);
  assert.equal(state.serializedOutput, undefined);
  assert.throws(() => state.raiseIfFailed(), { name: "OrchestrationFailedError" });
});

worker.orchestrator("recovers", async function* (ctx, what) {
  try {
    yield ctx.callActivity("order", what);
  } catch (error) {
    return { name: error.name, type: error.details.errorType, text: error.details.message };
  }
});

test("an orchestration catches an activity's failure, with its type and message", async () => {
  assert.deepEqual(output(await run("recovers", "milk")), {
    name: "TaskFailedError",
    type: "OutOfStock",
    text: "no milk left",
  });
});

worker.orchestrator("breaks", async () => {
  throw new OutOfStock("nothing works", { cause: new RangeError("too far", { cause: new Error("the root of it") }) });
});
worker.orchestrator("breaksBelow", async function* (ctx) {
  return yield ctx.callSubOrchestrator("breaks");
});

test("a failure keeps its causes", async () => {
  const request = new messages.GetInstanceRequest();
  request.setInstanceid((await run("breaks")).instanceId);
  request.setGetinputsandoutputs(true);
  const found = [];
  let details = (await call("getInstance", request)).getOrchestrationstate().getFailuredetails();

  for (; details; details = details.getInnerfailure()) {
    found.push([details.getErrortype(), details.getErrormessage()]);
  }

  assert.deepEqual(found, [
    ["OutOfStock", "nothing works"],
    ["RangeError", "too far"],
    ["Error", "the root of it"],
  ]);
});

test("an activity's failure keeps its causes in the history", async () => {
  const request = new messages.StreamInstanceHistoryRequest();
  request.setInstanceid((await run("orders", "salt")).instanceId);
  const events = (await collect("streamInstanceHistory", request)).flatMap((chunk) => chunk.getEventsList());
  const details = events.find((event) => event.hasTaskfailed()).getTaskfailed().getFailuredetails();
  assert.equal(details.getErrortype(), "OutOfStock");
  assert.match(details.getStacktrace().getValue(), /failures\.test\.js/);
  assert.equal(details.getInnerfailure().getErrormessage(), "0 < 1");
  assert.equal(details.getInnerfailure().getInnerfailure().getErrormessage(), "the root of it");
});

test("a child that fails, fails its parent", async () => {
  const state = await run("breaksBelow");
  assert.equal(status(state), "FAILED");
  assert.match(state.failureDetails.message, /nothing works/);
});

worker.orchestrator("asksNobody", async function* (ctx) {
  return yield ctx.callActivity("neverRegistered");
});

test("an activity that no one knows fails, naming it", async () => {
  const state = await run("asksNobody");
  assert.equal(status(state), "FAILED");
  assert.match(state.failureDetails.message, /neverRegistered/);
});

test("an orchestration that no one knows fails, naming it", async () => {
  const state = await run("unheardOf");
  assert.equal(status(state), "FAILED");
  assert.match(state.failureDetails.message, /unheardOf/);
});

worker.activity("flaky", (_, { key, fails }) => {
  const number = attempt(key);

  if (number <= fails) {
    throw new OutOfStock(`attempt ${number}`);
  }

  return number;
});
worker.orchestrator("persists", async function* (ctx, job) {
  const retry = new RetryPolicy({ maxNumberOfAttempts: job.tries, firstRetryIntervalInMilliseconds: 50 });

  return yield ctx.callActivity("flaky", job, { retry });
});

test("an activity is tried again until it works", async () => {
  const state = await run("persists", { key: fresh(), fails: 2, tries: 4 });
  assert.equal(output(state), 3);

  const types = await historyTypes(state.instanceId);
  assert.equal(types.filter((type) => type === "TaskFailed").length, 2);
  assert.equal(types.filter((type) => type === "TimerFired").length, 2);
});

test("an activity is tried as often as its policy says, and not once more", async () => {
  const key = fresh();
  const state = await run("persists", { key, fails: 99, tries: 3 });
  assert.equal(status(state), "FAILED");
  assert.match(state.failureDetails.message, /attempt 3/);
  assert.equal(attempts.get(key), 3);
});

worker.orchestrator("picky", async function* (ctx, job) {
  const retry = new RetryPolicy({
    maxNumberOfAttempts: 5,
    firstRetryIntervalInMilliseconds: 50,
    handleFailure: (failure) => failure.errorType !== "OutOfStock",
  });

  return yield ctx.callActivity("flaky", job, { retry });
});

test("a failure that the policy does not take is not tried again", async () => {
  const key = fresh();
  assert.equal(status(await run("picky", { key, fails: 99 })), "FAILED");
  assert.equal(attempts.get(key), 1);
});

worker.orchestrator("decides", async function* (ctx, job) {
  return yield ctx.callActivity("flaky", job, { retry: (failed) => failed.lastAttemptNumber < 3 && 50 });
});

test("a handler of ours decides whether to try again", async () => {
  const key = fresh();
  assert.equal(output(await run("decides", { key, fails: 2 })), 3);

  const other = fresh();
  assert.equal(status(await run("decides", { key: other, fails: 99 })), "FAILED");
  assert.equal(attempts.get(other), 3);
});

worker.orchestrator("flakyChild", async function* (ctx, { key, fails }) {
  const number = attempt(key);

  if (number <= fails) {
    throw new OutOfStock(`attempt ${number}`);
  }

  return number;
});
worker.orchestrator("persistsBelow", async function* (ctx, job) {
  const retry = new RetryPolicy({ maxNumberOfAttempts: 3, firstRetryIntervalInMilliseconds: 50 });

  return yield ctx.callSubOrchestrator("flakyChild", job, { retry });
});

test("a child is tried again under the same id", async () => {
  const state = await run("persistsBelow", { key: fresh(), fails: 2 });
  assert.equal(output(state), 3);

  const history = await client.getOrchestrationHistory(state.instanceId);
  const ids = history.filter((event) => event.type === "SubOrchestrationInstanceCreated").map((event) => event.instanceId);
  assert.equal(ids.length, 3);
  assert.equal(new Set(ids).size, 1);
});

worker.orchestrator("fansOut", async function* (ctx, width) {
  const tasks = Array.from({ length: width }, (_, index) => ctx.callActivity(index === 3 ? "order" : "works", index));

  try {
    return yield whenAll(tasks);
  } catch (error) {
    // What comes after the failure is still of use.
    return [error.message, yield ctx.callActivity("works", "on")];
  }
});
worker.activity("works", (_, value) => value);

test("one failure fails a fan-out, whose orchestration goes on", async () => {
  const [message, next] = output(await run("fansOut", 6));
  assert.match(message, /no 3 left/);
  assert.equal(next, "on");
});

worker.orchestrator("changesItsMind", async function* (ctx, key) {
  // Not deterministic: another activity at the second run of the same code.
  yield attempt(key) === 1 ? ctx.callActivity("works", 1) : ctx.createTimer(60);
  yield ctx.createTimer(60);
});

test("code that does not replay fails, and says what changed", async () => {
  const state = await ended(await client.scheduleNewOrchestration("changesItsMind", fresh()));
  assert.equal(status(state), "FAILED");
  assert.equal(state.failureDetails.errorType, "NonDeterminismError");
});
