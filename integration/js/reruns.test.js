/** Running again what was there before: ids used twice, restart, and rewind. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { OrchestrationStatus } from "@microsoft/durabletask-js";
import { call, client, ended, fresh, historyTypes, messages, onlyWorker, output, reaches, run, status } from "./hub.js";

const ALREADY_EXISTS = 6;
const INVALID_ARGUMENT = 3;
const { COMPLETED, FAILED, PENDING, RUNNING, SUSPENDED, TERMINATED } = OrchestrationStatus;

const worker = onlyWorker();
const calls = new Map();

worker.orchestrator("waits", async function* (ctx, value) {
  yield ctx.waitForExternalEvent("go");

  return value;
});
worker.orchestrator("returns", async (_, value) => value);

/** Start with a policy, which the SDK's message has and its client does not. */
async function startReplacing(name, id, replaceable) {
  const policy = new messages.OrchestrationIdReusePolicy();
  policy.setReplaceablestatusList(replaceable);
  const request = new messages.CreateInstanceRequest();
  request.setName(name);
  request.setInstanceid(id);
  request.setOrchestrationidreusepolicy(policy);

  return (await call("startInstance", request)).getInstanceid();
}

test("an id that is in use is refused as already existing", async () => {
  const id = await client.scheduleNewOrchestration("waits", 1, fresh());
  await assert.rejects(client.scheduleNewOrchestration("returns", 2, id), (error) => {
    assert.equal(error.code, ALREADY_EXISTS);
    assert.match(error.details, new RegExp(id));

    return true;
  });
  await client.raiseOrchestrationEvent(id, "go");
  assert.equal(output(await ended(id)), 1);
});

test("an id whose orchestration has ended is free again", async () => {
  const id = fresh();
  const before = await run("returns", "first", id);
  const after = await run("returns", "second", id);
  assert.equal(output(after), "second");
  assert.ok(after.createdAt > before.createdAt);
  assert.equal((await historyTypes(id)).filter((type) => type === "ExecutionStarted").length, 1);
});

test("an id is not used again for a status that the policy leaves out", async () => {
  const id = fresh();
  await run("returns", 1, id);
  await assert.rejects(startReplacing("returns", id, [FAILED, TERMINATED]), { code: ALREADY_EXISTS });
  await assert.rejects(startReplacing("returns", id, []), { code: ALREADY_EXISTS });
  assert.equal(await startReplacing("waits", id, [COMPLETED]), id);
  await reaches(id, "RUNNING");
  await client.terminateOrchestration(id);
});

test("a policy replaces an orchestration that runs", async () => {
  const id = await client.scheduleNewOrchestration("waits", 1, fresh());
  await reaches(id, "RUNNING");
  await startReplacing("returns", id, [PENDING, RUNNING, SUSPENDED, TERMINATED]);
  const state = await ended(id);
  assert.equal(status(state), "COMPLETED");
  assert.equal(state.name, "returns");
});

test("a policy that replaces what runs, but not what was terminated, is refused with its reason", async () => {
  const id = await client.scheduleNewOrchestration("waits", 1, fresh());
  await reaches(id, "RUNNING");
  await assert.rejects(startReplacing("returns", id, [RUNNING, COMPLETED]), (error) => {
    assert.equal(error.code, INVALID_ARGUMENT);
    assert.match(
      error.details,
      /Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances/,
    );

    return true;
  });
  assert.equal(status(await client.getOrchestrationState(id)), "RUNNING");
  await client.terminateOrchestration(id);
});

test("an orchestration without a name is refused", async () => {
  await assert.rejects(client.scheduleNewOrchestration("", 1), { code: INVALID_ARGUMENT });
});

test("a completed orchestration restarts under its id, with its name, input and tags", async () => {
  const before = await run("counts", fresh(), { tags: { kept: "yes" } });
  assert.equal(output(before), 1);
  assert.equal(await client.restartOrchestration(before.instanceId), before.instanceId);
  const after = await ended(before.instanceId);
  assert.equal(output(after), 2);
  assert.equal(after.serializedInput, before.serializedInput);
  assert.deepEqual(after.tags, { kept: "yes" });
  assert.ok(after.createdAt > before.createdAt);
});

worker.activity("count", (_, key) => {
  calls.set(key, (calls.get(key) ?? 0) + 1);

  return calls.get(key);
});
worker.orchestrator("counts", async function* (ctx, key) {
  return yield ctx.callActivity("count", key);
});

test("a restart under a new id leaves the old instance as it is", async () => {
  const before = await run("counts", fresh());
  const id = await client.restartOrchestration(before.instanceId, true);
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(output(await ended(id)), 2);
  assert.equal(output(await client.getOrchestrationState(before.instanceId)), 1);
});

test("a terminated orchestration restarts", async () => {
  const id = await client.scheduleNewOrchestration("waits", "again");
  await client.terminateOrchestration(id, "no");
  await ended(id);
  await client.restartOrchestration(id);
  await client.raiseOrchestrationEvent(id, "go");
  assert.equal(output(await ended(id)), "again");
});

test("an orchestration that runs or is suspended restarts only under a new id", async () => {
  const id = await client.scheduleNewOrchestration("waits", 7);
  await reaches(id, "RUNNING");
  await assert.rejects(client.restartOrchestration(id), /cannot be restarted/);
  await client.suspendOrchestration(id);
  await reaches(id, "SUSPENDED");
  await assert.rejects(client.restartOrchestration(id), /cannot be restarted/);

  const other = await client.restartOrchestration(id, true);
  await client.raiseOrchestrationEvent(other, "go");
  assert.equal(output(await ended(other)), 7);
  assert.equal(status(await client.getOrchestrationState(id)), "SUSPENDED");
  await client.terminateOrchestration(id);
});

test("what does not exist is neither restarted nor rewound", async () => {
  await assert.rejects(client.restartOrchestration(fresh("nobody")), /was not found/);
  await assert.rejects(client.rewindInstance(fresh("nobody"), "why not"), /was not found/);
});

const broken = new Set();

worker.activity("mayBreak", (_, key) => {
  if (broken.has(key)) {
    throw new Error(`${key} is broken`);
  }

  return "mended";
});
worker.orchestrator("countsThenBreaks", async function* (ctx, key) {
  const number = yield ctx.callActivity("count", key);
  ctx.setCustomStatus("counted");

  return [number, yield ctx.callActivity("mayBreak", key)];
});

test("a rewound orchestration repeats what failed, and keeps what had worked", async () => {
  const key = fresh();
  broken.add(key);
  const before = await run("countsThenBreaks", key);
  assert.equal(status(before), "FAILED");

  broken.delete(key);
  await client.rewindInstance(before.instanceId, "it is mended");
  const after = await ended(before.instanceId);
  assert.deepEqual(output(after), [1, "mended"]);
  assert.equal(after.failureDetails, undefined);
  assert.deepEqual(after.createdAt, before.createdAt);
  assert.equal(calls.get(key), 1);

  const rewound = (await client.getOrchestrationHistory(after.instanceId)).filter((e) => e.type === "ExecutionRewound");
  assert.deepEqual(
    rewound.map((event) => event.reason),
    ["it is mended"],
  );
});

worker.orchestrator("parentOfBroken", async function* (ctx, key) {
  const mine = yield ctx.callActivity("count", `${key} of the parent`);

  return [mine, yield ctx.callSubOrchestrator("countsThenBreaks", key)];
});

test("rewinding a parent rewinds the child that failed it", async () => {
  const key = fresh();
  broken.add(key);
  const before = await run("parentOfBroken", key);
  assert.equal(status(before), "FAILED");

  broken.delete(key);
  await client.rewindInstance(before.instanceId, "again");
  assert.deepEqual(output(await ended(before.instanceId)), [1, [1, "mended"]]);
});

worker.orchestrator("breaksItself", async (_, key) => {
  if (broken.has(key)) {
    throw new Error("in the orchestrator");
  }

  return "mended";
});

test("an orchestrator that threw is run again by a rewind", async () => {
  const key = fresh();
  broken.add(key);
  const { instanceId } = await run("breaksItself", key);
  broken.delete(key);
  await client.rewindInstance(instanceId, "");
  assert.equal(output(await ended(instanceId)), "mended");
});

test("an orchestration can be rewound twice", async () => {
  const key = fresh();
  broken.add(key);
  const { instanceId } = await run("countsThenBreaks", key);
  await client.rewindInstance(instanceId, "first");
  assert.equal(status(await ended(instanceId)), "FAILED");
  broken.delete(key);
  await client.rewindInstance(instanceId, "second");
  assert.deepEqual(output(await ended(instanceId)), [1, "mended"]);
});

test("an orchestration that runs, or has completed, is not rewound", async () => {
  const id = await client.scheduleNewOrchestration("waits", 1);
  await reaches(id, "RUNNING");
  await assert.rejects(client.rewindInstance(id, "why not"), /not allow|precondition|running/i);
  await client.raiseOrchestrationEvent(id, "go");
  await ended(id);
  await assert.rejects(client.rewindInstance(id, "why not"), /completed/i);
});
