/** What a hub keeps of its orchestrations: queries, lists, histories, tags, and how they are purged. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { OrchestrationStatus, PurgeInstanceCriteria } from "@microsoft/durabletask-js";
import { all, client, ended, fresh, historyTypes, onlyWorker, output, reaches, run, status } from "./hub.js";

const { COMPLETED, FAILED, RUNNING, TERMINATED } = OrchestrationStatus;
const worker = onlyWorker();

worker.activity("echo", (_, value) => value);
worker.orchestrator("returns", async (_, value) => value);
worker.orchestrator("breaks", async () => {
  throw new Error("on purpose");
});
worker.orchestrator("waits", async function* (ctx) {
  return yield ctx.waitForExternalEvent("go");
});

/** Complete some instances whose ids begin alike. */
async function complete(prefix, count) {
  const ids = Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(2, "0")}`);

  for (const id of ids) {
    await run("returns", id, id);
  }

  return ids;
}

async function pagesOf(pageable) {
  return (await all(pageable.asPages())).map((page) => page.values.length);
}

test("a query by prefix finds each instance once, over several pages", async () => {
  const prefix = fresh("page");
  const ids = await complete(prefix, 11);
  const pageable = client.getAllInstances({ instanceIdPrefix: prefix, pageSize: 4 });
  assert.deepEqual(
    (await all(pageable)).map((state) => state.instanceId).sort(),
    ids,
  );
  assert.deepEqual(await pagesOf(pageable), [4, 4, 3]);
});

test("a query goes on from a page's token", async () => {
  const prefix = fresh("token");
  const ids = await complete(prefix, 5);
  const [first] = await all(client.getAllInstances({ instanceIdPrefix: prefix, pageSize: 2 }).asPages());
  assert.equal(first.hasMoreResults, true);

  const rest = client.getAllInstances({ instanceIdPrefix: prefix, continuationToken: first.continuationToken });
  const found = [...first.values, ...(await all(rest))].map((state) => state.instanceId);
  assert.deepEqual(found.sort(), ids);
});

test("a last page that is full has no successor", async () => {
  const prefix = fresh("full");
  await complete(prefix, 4);
  assert.deepEqual(await pagesOf(client.getAllInstances({ instanceIdPrefix: prefix, pageSize: 2 })), [2, 2]);
});

test("a query that nothing fits finds nothing", async () => {
  assert.deepEqual(await all(client.getAllInstances({ instanceIdPrefix: fresh("nothing") })), []);
});

test("a query for statuses finds only those", async () => {
  const prefix = fresh("status");
  await run("returns", 1, `${prefix}-completed`);
  await run("breaks", 1, `${prefix}-failed`);
  await client.scheduleNewOrchestration("waits", 1, `${prefix}-running`);
  await reaches(`${prefix}-running`, "RUNNING");

  const found = async (...statuses) =>
    (await all(client.getAllInstances({ instanceIdPrefix: prefix, statuses })))
      .map((state) => state.instanceId.slice(prefix.length + 1))
      .sort();

  assert.deepEqual(await found(COMPLETED), ["completed"]);
  assert.deepEqual(await found(FAILED, RUNNING), ["failed", "running"]);
  assert.deepEqual(await found(TERMINATED), []);
  assert.deepEqual(await found(), ["completed", "failed", "running"]);
});

test("a query between two times finds what was created between them", async () => {
  const prefix = fresh("time");
  const [first] = await complete(`${prefix}-a`, 1);
  const between = (await client.getOrchestrationState(first)).createdAt.getTime() + 1;
  const [second] = await complete(`${prefix}-b`, 1);

  const found = async (query) =>
    (await all(client.getAllInstances({ instanceIdPrefix: prefix, ...query }))).map((state) => state.instanceId);

  assert.deepEqual(await found({ createdTo: new Date(between) }), [first]);
  assert.deepEqual(await found({ createdFrom: new Date(between) }), [second]);
});

test("a query brings payloads only where they are asked for", async () => {
  const [id] = await complete(fresh("payload"), 1);
  const [bare] = await all(client.getAllInstances({ instanceIdPrefix: id }));
  assert.equal(bare.serializedInput, undefined);
  assert.equal(bare.serializedOutput, undefined);

  const [whole] = await all(client.getAllInstances({ instanceIdPrefix: id, fetchInputsAndOutputs: true }));
  assert.equal(JSON.parse(whole.serializedInput), id);
  assert.equal(JSON.parse(whole.serializedOutput), id);
});

test("ids of ended instances are listed in the order in which they ended, a page at a time", async () => {
  const from = new Date();
  const still = await client.scheduleNewOrchestration("waits", undefined, fresh("list"));
  const ids = await complete(fresh("list"), 7);
  const found = [];
  let lastInstanceKey;

  do {
    const page = await client.listInstanceIds({ completedTimeFrom: from, pageSize: 3, lastInstanceKey });
    assert.ok(page.values.length <= 3);
    found.push(...page.values);
    lastInstanceKey = page.continuationToken;
  } while (lastInstanceKey);

  assert.deepEqual(found, ids);
  await client.terminateOrchestration(still);
});

test("ids are listed by status and by the time of their end", async () => {
  const from = new Date();
  const good = await run("returns", 1);
  const bad = await run("breaks", 1);

  const list = async (options) => (await client.listInstanceIds({ completedTimeFrom: from, ...options })).values;

  assert.deepEqual(await list({ runtimeStatus: [FAILED] }), [bad.instanceId]);
  assert.deepEqual(await list({ runtimeStatus: [COMPLETED] }), [good.instanceId]);
  assert.deepEqual(await list({ completedTimeTo: from }), []);
});

worker.orchestrator("oneOfEach", async function* (ctx) {
  yield ctx.callActivity("echo", 1);
  yield ctx.createTimer(0.1);

  return yield ctx.callSubOrchestrator("returns", "of the child");
});

test("a history has exactly the events of an activity, a timer and a child", async () => {
  const { instanceId } = await run("oneOfEach");
  assert.deepEqual(await historyTypes(instanceId), [
    "OrchestratorStarted",
    "ExecutionStarted",
    "TaskScheduled",
    "OrchestratorStarted",
    "TaskCompleted",
    "TimerCreated",
    "OrchestratorStarted",
    "TimerFired",
    "SubOrchestrationInstanceCreated",
    "OrchestratorStarted",
    "SubOrchestrationInstanceCompleted",
    "ExecutionCompleted",
  ]);
});

test("a history's events refer to each other, and its turns follow each other", async () => {
  const { instanceId } = await run("oneOfEach");
  const history = await client.getOrchestrationHistory(instanceId);
  const one = (type) => history.find((event) => event.type === type);
  const ids = history.map((event) => event.eventId).filter((id) => id >= 0);
  const turns = history.filter((event) => event.type === "OrchestratorStarted").map((event) => event.timestamp.getTime());

  assert.equal(one("ExecutionStarted").name, "oneOfEach");
  assert.equal(one("ExecutionStarted").orchestrationInstance.instanceId, instanceId);
  assert.match(one("ExecutionStarted").orchestrationInstance.executionId, /^[0-9a-f]{32}$/);
  assert.equal(one("TaskScheduled").name, "echo");
  assert.equal(one("TaskScheduled").input, "1");
  assert.equal(one("TaskCompleted").taskScheduledId, one("TaskScheduled").eventId);
  assert.equal(one("TaskCompleted").result, "1");
  assert.equal(one("TimerFired").timerId, one("TimerCreated").eventId);
  assert.deepEqual(one("TimerFired").fireAt, one("TimerCreated").fireAt);
  assert.equal(one("SubOrchestrationInstanceCompleted").result, '"of the child"');
  assert.equal(one("ExecutionCompleted").result, '"of the child"');
  assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
  assert.deepEqual(turns, [...turns].sort((a, b) => a - b));
});

test("the history of an unknown instance is empty", async () => {
  assert.deepEqual(await client.getOrchestrationHistory(fresh("nobody")), []);
});

worker.orchestrator("scheduleMany", async function* (ctx, [count, value]) {
  for (let index = 0; index < count; index++) {
    yield ctx.callActivity("echo", value);
  }
});

test("a history of hundreds of events comes whole", async () => {
  const { instanceId } = await run("scheduleMany", [150, "x".repeat(2000)]);
  const types = await historyTypes(instanceId);
  assert.equal(types.length, 3 + 3 * 150);
  assert.equal(types.filter((type) => type === "TaskCompleted").length, 150);
});

worker.orchestrator("tagsBelow", async function* (ctx) {
  yield ctx.callActivity("echo", 1, { tags: { to: "activity" } });

  return yield ctx.callSubOrchestrator("returns", 1, { tags: { to: "child" } });
});

test("tags are kept with an instance, and shown by state and query", async () => {
  const tags = { team: "blå", "a key": "" };
  const { instanceId } = await run("returns", 1, { tags });
  assert.deepEqual((await client.getOrchestrationState(instanceId)).tags, tags);
  const [found] = await all(client.getAllInstances({ instanceIdPrefix: instanceId }));
  assert.deepEqual(found.tags, tags);
});

test("tags of activities and children stand in the history, and on the child", async () => {
  const { instanceId } = await run("tagsBelow");
  const history = await client.getOrchestrationHistory(instanceId);
  const child = history.find((event) => event.type === "SubOrchestrationInstanceCreated");
  assert.deepEqual(history.find((event) => event.type === "TaskScheduled").tags, { to: "activity" });
  assert.deepEqual((await client.getOrchestrationState(child.instanceId)).tags, { to: "child" });
});

test("a purged instance is gone, with its history", async () => {
  const { instanceId } = await run("returns", 1);
  assert.equal((await client.purgeOrchestration(instanceId)).deletedInstanceCount, 1);
  assert.equal(await client.getOrchestrationState(instanceId), undefined);
  assert.deepEqual(await client.getOrchestrationHistory(instanceId), []);
  assert.equal((await client.purgeOrchestration(instanceId)).deletedInstanceCount, 0);
});

test("an instance that runs is not purged", async () => {
  const id = await client.scheduleNewOrchestration("waits");
  await reaches(id, "RUNNING");
  assert.equal((await client.purgeOrchestration(id)).deletedInstanceCount, 0);
  await client.raiseOrchestrationEvent(id, "go", "on");
  assert.equal(output(await ended(id)), "on");
});

test("a filter purges what was created in a time and ended in a status", async () => {
  const criteria = new PurgeInstanceCriteria();
  criteria.setCreatedTimeFrom(new Date());
  const kept = await run("returns", 1);
  const ids = [await run("breaks"), await run("breaks")].map((state) => state.instanceId);
  criteria.setCreatedTimeTo(new Date(Date.now() + 1));
  criteria.setRuntimeStatusList([FAILED]);

  assert.equal((await client.purgeOrchestration(criteria)).deletedInstanceCount, 2);
  assert.equal(await client.getOrchestrationState(ids[0]), undefined);
  assert.equal(status(await client.getOrchestrationState(kept.instanceId)), "COMPLETED");
});

worker.orchestrator("family", async function* (ctx, child) {
  return yield ctx.callSubOrchestrator("returns", 1, { instanceId: child });
});

test("a purge leaves the children", async () => {
  const [id, child] = [fresh("parent"), fresh("child")];
  await run("family", child, id);
  assert.equal((await client.purgeOrchestration(id)).deletedInstanceCount, 1);
  assert.equal(status(await client.getOrchestrationState(child)), "COMPLETED");
});

test("a recursive purge takes the children along", async () => {
  const [id, child] = [fresh("parent"), fresh("child")];
  await run("family", child, id);
  assert.equal((await client.purgeOrchestration(id, { recursive: true })).deletedInstanceCount, 2);
  assert.equal(await client.getOrchestrationState(child), undefined);
});
