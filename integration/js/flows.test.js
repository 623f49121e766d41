/** What an orchestration is made of: activities, children, timers, events, status and payloads. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { whenAll, whenAny } from "@microsoft/durabletask-js";
import { client, ended, fresh, historyTypes, onlyWorker, output, reaches, run, status, until } from "./hub.js";

// 1 MiB, in characters of two bytes.
const LARGE = "é".repeat(512 * 1024);
const worker = onlyWorker();

worker.activity("increment", (_, number) => number + 1);
worker.activity("echo", (_, value) => value);
worker.activity("where", (ctx) => [ctx.orchestrationId, ctx.taskId]);

worker.orchestrator("threeSteps", async function* (ctx, number) {
  for (let step = 0; step < 3; step++) {
    number = yield ctx.callActivity("increment", number);
  }

  return number;
});

test("a sequence hands each activity what the last one returned", async () => {
  const state = await run("threeSteps", 4);
  assert.equal(output(state), 7);
  assert.equal(state.name, "threeSteps");
  assert.equal(state.serializedInput, "4");
  assert.equal(state.failureDetails, undefined);
  assert.ok(state.lastUpdatedAt >= state.createdAt);
});

worker.orchestrator("noSteps", async (_, value) => value);

test("an orchestration that awaits nothing returns what it was given", async () => {
  assert.deepEqual(output(await run("noSteps", { deep: ["ä", 1, null] })), { deep: ["ä", 1, null] });
});

worker.orchestrator("echoes", async function* (ctx, value) {
  return yield ctx.callActivity("echo", value);
});

worker.orchestrator("asksWhere", async function* (ctx) {
  return yield ctx.callActivity("where");
});

test("an activity knows for which instance and as which task it runs", async () => {
  const id = fresh();
  assert.deepEqual(output(await run("asksWhere", undefined, id)), [id, 1]);
});

worker.orchestrator("fanOut", async function* (ctx, width) {
  const results = yield whenAll(Array.from({ length: width }, (_, index) => ctx.callActivity("increment", index)));

  return results;
});

test("a fan-out over 100 activities returns their results in order", async () => {
  const wanted = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.deepEqual(output(await run("fanOut", 100)), wanted);
});

worker.orchestrator("child", async function* (ctx, number) {
  const next = yield ctx.callActivity("increment", number);

  return { id: ctx.instanceId, next, parent: ctx.parent };
});
worker.orchestrator("parent", async function* (ctx, childId) {
  return yield ctx.callSubOrchestrator("child", 1, { instanceId: childId });
});

test("a child has the id it was given, and knows its parent", async () => {
  const [id, childId] = [fresh("parent"), fresh("child")];
  const result = output(await run("parent", childId, id));
  assert.deepEqual(result, { id: childId, next: 2, parent: { instanceId: id, name: "parent", taskScheduledId: 1 } });
  assert.equal(status(await client.getOrchestrationState(childId)), "COMPLETED");
});

worker.orchestrator("twoChildren", async function* (ctx, generations) {
  const children = yield whenAll([ctx.callSubOrchestrator("child", 1), ctx.callSubOrchestrator("child", 2)]);
  const seen = [...generations, ...children.map((one) => one.id)];

  if (seen.length < 4) {
    ctx.continueAsNew(seen);
  }

  return seen;
});

test("children without an id have one of their parent's execution, new in each generation", async () => {
  const ids = output(await run("twoChildren", []));
  ids.forEach((id) => assert.match(id, /^[0-9a-f]{32}:[0-9a-f]{4}$/));
  assert.deepEqual(
    ids.map((id) => id.slice(-4)),
    ["0001", "0002", "0001", "0002"],
  );
  assert.equal(new Set(ids).size, 4);
});

worker.orchestrator("sleeper", async function* (ctx, seconds) {
  const start = ctx.currentUtcDateTime.getTime();
  yield ctx.createTimer(seconds);

  return ctx.currentUtcDateTime.getTime() - start;
});

test("a timer fires when it is due, and the orchestration's clock says so", async () => {
  const slept = output(await run("sleeper", 0.7));
  assert.ok(slept >= 700 && slept < 5000, `slept ${slept} ms`);
});

test("a timer in the past fires at once", async () => {
  assert.ok(output(await run("sleeper", -60)) < 5000);
});

worker.orchestrator("impatient", async function* (ctx, seconds) {
  const answer = ctx.waitForExternalEvent("answer");
  const deadline = ctx.createTimer(seconds);

  return (yield whenAny([answer, deadline])) === deadline ? "too late" : answer.getResult();
});

test("a deadline that passes wins over an event that does not come", async () => {
  assert.equal(output(await run("impatient", 0.3)), "too late");
});

test("an event that comes wins over a far deadline", async () => {
  const id = await client.scheduleNewOrchestration("impatient", 3600);
  await client.raiseOrchestrationEvent(id, "answer", 42);
  assert.equal(output(await ended(id)), 42);
});

worker.orchestrator("awaitsOne", async function* (ctx, name) {
  ctx.setCustomStatus("waiting");

  return yield ctx.waitForExternalEvent(name);
});

test("an event reaches an orchestration that waits for it under a name in other case", async () => {
  const id = await client.scheduleNewOrchestration("awaitsOne", "Approval");
  await client.waitForOrchestrationStart(id);
  await client.raiseOrchestrationEvent(id, "aPPROVAL", { by: "ü" });
  assert.deepEqual(output(await ended(id)), { by: "ü" });

  const raised = (await client.getOrchestrationHistory(id)).find((event) => event.type === "EventRaised");
  assert.equal(raised.name, "aPPROVAL");
});

test("an event without data arrives as null", async () => {
  const id = await client.scheduleNewOrchestration("awaitsOne", "go");
  await client.raiseOrchestrationEvent(id, "go");
  assert.equal(output(await ended(id)), null);
});

test("an event for an instance that does not exist is refused", async () => {
  await assert.rejects(client.raiseOrchestrationEvent(fresh("nobody"), "go"), { code: 5 });
});

worker.orchestrator("awaitsMany", async function* (ctx, count) {
  const seen = [];

  while (seen.length < count) {
    seen.push(yield ctx.waitForExternalEvent("number"));
  }

  return seen;
});

test("100 events arrive once each, in the order in which they were raised", async () => {
  const id = await client.scheduleNewOrchestration("awaitsMany", 100);
  const numbers = Array.from({ length: 100 }, (_, index) => index);

  for (const number of numbers) {
    await client.raiseOrchestrationEvent(id, "number", number);
  }

  assert.deepEqual(output(await ended(id)), numbers);
});

test("100 events raised at once all arrive", async () => {
  const id = await client.scheduleNewOrchestration("awaitsMany", 100);
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  await Promise.all(numbers.map((number) => client.raiseOrchestrationEvent(id, "number", number)));
  assert.deepEqual(
    output(await ended(id)).sort((a, b) => a - b),
    numbers,
  );
});

worker.orchestrator("caller", async function* (ctx, target) {
  ctx.sendEvent(target, "call", { from: ctx.instanceId });

  return yield ctx.callActivity("echo", "sent");
});

test("an orchestration sends an event to another one", async () => {
  const target = await client.scheduleNewOrchestration("awaitsOne", "CALL");
  const id = fresh("caller");
  assert.equal(output(await run("caller", target, id)), "sent");
  assert.deepEqual(output(await ended(target)), { from: id });
});

worker.orchestrator("countsUp", async function* (ctx, { at, goal }) {
  yield ctx.callActivity("echo", at);

  if (at < goal) {
    ctx.continueAsNew({ at: at + 1, goal });
  }

  return at;
});

test("an orchestration continues as new ten times and keeps only its last generation", async () => {
  const id = fresh();
  assert.equal(output(await run("countsUp", { at: 0, goal: 10 }, id)), 10);

  const types = await historyTypes(id);
  assert.equal(types.filter((type) => type === "ExecutionStarted").length, 1);
  assert.equal(types.filter((type) => type === "TaskScheduled").length, 1);
});

worker.orchestrator("collects", async function* (ctx, { seen, goal }) {
  seen.push(yield ctx.waitForExternalEvent("item"));

  if (seen.length < goal) {
    ctx.continueAsNew({ seen, goal }, true);
  }

  return seen;
});

test("events that nobody had waited for yet are carried into the next generations", async () => {
  const id = await client.scheduleNewOrchestration("collects", { seen: [], goal: 12 });
  const items = Array.from({ length: 12 }, (_, index) => `item ${index}`);

  for (const item of items) {
    await client.raiseOrchestrationEvent(id, "Item", item);
  }

  assert.deepEqual(output(await ended(id)), items);
});

worker.orchestrator("reports", async function* (ctx) {
  ctx.setCustomStatus({ step: 1 });
  yield ctx.waitForExternalEvent("on");
  ctx.setCustomStatus({ step: 2, note: "größer" });
  yield ctx.waitForExternalEvent("off");
});

test("a custom status is visible while the orchestration runs, and after its end", async () => {
  const id = await client.scheduleNewOrchestration("reports");
  const shows = (step) =>
    until(`step ${step}`, async () => {
      const { serializedCustomStatus } = await client.getOrchestrationState(id);

      return serializedCustomStatus && JSON.parse(serializedCustomStatus).step === step;
    });

  await shows(1);
  await client.raiseOrchestrationEvent(id, "on");
  await shows(2);
  await client.raiseOrchestrationEvent(id, "off");
  assert.deepEqual(JSON.parse((await ended(id)).serializedCustomStatus), { step: 2, note: "größer" });
});

test("1 MiB passes as an orchestration's input and output", async () => {
  const state = await run("noSteps", LARGE);
  assert.ok(output(state) === LARGE, "the output differs");
  assert.ok(JSON.parse(state.serializedInput) === LARGE, "the input differs");
});

test("1 MiB passes as an activity's input and output", async () => {
  assert.ok(output(await run("echoes", LARGE)) === LARGE, "the output differs");
});

test("1 MiB passes as an event", async () => {
  const id = await client.scheduleNewOrchestration("awaitsOne", "more");
  await client.raiseOrchestrationEvent(id, "more", LARGE);
  assert.ok(output(await ended(id)) === LARGE, "the output differs");
});

worker.orchestrator("draws", async function* (ctx) {
  const first = [ctx.newGuid(), ctx.newGuid()];
  const kept = yield ctx.callActivity("echo", first);

  return { first, kept, next: ctx.newGuid() };
});

test("GUIDs differ within a run, and a replay draws the same ones again", async () => {
  const { first, kept, next } = output(await run("draws"));
  assert.deepEqual(first, kept);
  assert.equal(new Set([...first, next]).size, 3);
});

test("a scheduled start waits until it is due", async () => {
  const due = new Date(Date.now() + 1500);
  const id = await client.scheduleNewOrchestration("sleeper", 0, { startAt: due });
  assert.equal(status(await client.getOrchestrationState(id)), "PENDING");

  const started = (await ended(id), await client.getOrchestrationHistory(id)).find((e) => e.type === "OrchestratorStarted");
  assert.ok(started.timestamp >= due, `${started.timestamp.toISOString()} is before ${due.toISOString()}`);
});

test("an instance that is waited for too long is a TimeoutError, and goes on", async () => {
  const id = await client.scheduleNewOrchestration("awaitsOne", "later");
  await reaches(id, "RUNNING");
  await assert.rejects(client.waitForOrchestrationCompletion(id, true, 0.2), { name: "TimeoutError" });
  await client.raiseOrchestrationEvent(id, "later", "now");
  assert.equal(output(await ended(id)), "now");
});

test("the state of an unknown instance is undefined", async () => {
  assert.equal(await client.getOrchestrationState(fresh("nobody")), undefined);
});
