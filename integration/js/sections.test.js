/** Critical sections: locks over entities, who holds them, and when they end. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { EntityInstanceId, TaskEntity } from "@microsoft/durabletask-js";
import { client, ended, entityState, fresh, onlyWorker, output, reaches, run, status, until } from "./hub.js";

const worker = onlyWorker();

class Account extends TaskEntity {
  initializeState() {
    return 100;
  }

  get() {
    return this.state;
  }

  set(amount) {
    this.state = amount;
  }
}

worker.entity("account", Account);

function accounts(count) {
  return Array.from({ length: count }, () => new EntityInstanceId("account", fresh("a")));
}

/** Moves money by reading and then writing both accounts, which goes wrong unless nobody comes between. */
worker.orchestrator("transfers", async function* (ctx, { from, to, amount }) {
  const ids = [from, to].map(EntityInstanceId.fromString);
  const lock = yield ctx.entities.lockEntities(...ids);
  const [source, target] = [yield ctx.entities.callEntity(ids[0], "get"), yield ctx.entities.callEntity(ids[1], "get")];
  yield ctx.entities.callEntity(ids[0], "set", source - amount);
  yield ctx.entities.callEntity(ids[1], "set", target + amount);
  lock.release();

  return source - amount;
});

test("transfers between two entities in both directions at once keep their sum", async () => {
  const [one, two] = accounts(2).map(String);
  const orders = [...Array.from({ length: 6 }, () => [one, two, 5]), ...Array.from({ length: 4 }, () => [two, one, 20])];
  const states = await Promise.all(orders.map(([from, to, amount]) => run("transfers", { from, to, amount })));
  states.forEach(output);
  const totals = await Promise.all([one, two].map((id) => entityState(EntityInstanceId.fromString(id))));
  assert.deepEqual(totals, [100 - 6 * 5 + 4 * 20, 100 + 6 * 5 - 4 * 20]);
});

/** Locks, says so, and holds the locks until it is told to go on. */
worker.orchestrator("holds", async function* (ctx, { ids, release = true, twice = false }) {
  const lock = yield ctx.entities.lockEntities(...ids.map(EntityInstanceId.fromString));
  ctx.setCustomStatus("locked");
  const inside = ctx.entities.isInCriticalSection();
  yield ctx.waitForExternalEvent("go");
  const seen = yield ctx.entities.callEntity(EntityInstanceId.fromString(ids[0]), "get");

  if (release) {
    lock.release();
  }

  if (twice) {
    lock.release();
  }

  return { inside, after: ctx.entities.isInCriticalSection().inSection, seen };
});

/** Start it, and wait until it has its locks. */
async function hold(ids, options) {
  const id = await client.scheduleNewOrchestration("holds", { ids: ids.map(String), ...options }, fresh("holder"));
  await until("it is locked", async () => (await client.getOrchestrationState(id)).serializedCustomStatus === '"locked"');

  return id;
}

test("locked entities name the orchestration that holds them, until it lets go", async () => {
  const ids = accounts(2);
  const holder = await hold(ids);

  for (const id of ids) {
    assert.equal((await client.getEntity(id)).lockedBy, holder);
  }

  await client.raiseOrchestrationEvent(holder, "go");
  const { inside, after } = output(await ended(holder));
  assert.equal(inside.inSection, true);
  assert.deepEqual(inside.lockedEntities, ids.map(String).sort());
  assert.equal(after, false);
  await until("they are free", async () =>
    (await Promise.all(ids.map((id) => client.getEntity(id)))).every((one) => one?.lockedBy === undefined),
  );
});

test("a signal to a locked entity waits until it is free", async () => {
  const [id] = accounts(1);
  const holder = await hold([id]);
  await client.signalEntity(id, "set", 7);
  await until("it waits", async () => (await client.getEntity(id)).backlogQueueSize === 1);
  await client.raiseOrchestrationEvent(holder, "go");
  assert.equal(output(await ended(holder)).seen, 100);
  await until("the signal is done", async () => (await entityState(id)) === 7);
});

test("an orchestration waits for what another one has locked, and is next", async () => {
  const ids = accounts(3);
  const first = await hold(ids.slice(0, 2));
  const second = await client.scheduleNewOrchestration("holds", { ids: ids.slice(1).map(String) }, fresh("second"));
  await until("it waits", async () => (await client.getEntity(ids[1])).backlogQueueSize === 1);
  assert.equal((await client.getOrchestrationState(second)).serializedCustomStatus, undefined);

  await client.raiseOrchestrationEvent(second, "go");
  await client.raiseOrchestrationEvent(first, "go");
  output(await ended(first));
  output(await ended(second));
});

test("locks in opposite orders do not wait for each other", async () => {
  const ids = accounts(4).map(String);
  const orders = Array.from({ length: 12 }, (_, index) => [ids[index % 4], ids[(index * 3 + 1) % 4]]);
  const pairs = orders.filter(([from, to]) => from !== to);
  assert.ok(pairs.length > 4);
  const states = await Promise.all(pairs.map(([from, to]) => run("transfers", { from, to, amount: 1 })));
  states.forEach(output);
  const totals = await Promise.all(ids.map((id) => entityState(EntityInstanceId.fromString(id))));
  assert.equal(
    totals.reduce((sum, one) => sum + (one ?? 100), 0),
    400,
  );
});

test("a lock that is not released ends with its orchestration", async () => {
  const [id] = accounts(1);
  const holder = await hold([id], { release: false });
  await client.raiseOrchestrationEvent(holder, "go");
  assert.equal(output(await ended(holder)).after, true);
  await client.signalEntity(id, "set", 3);
  await until("the next one is done", async () => (await entityState(id)) === 3);
});

test("a lock that is released twice is free once", async () => {
  const [id] = accounts(1);
  const holder = await hold([id], { twice: true });
  await client.raiseOrchestrationEvent(holder, "go");
  output(await ended(holder));
  const next = await hold([id]);
  assert.equal((await client.getEntity(id)).lockedBy, next);
  await client.raiseOrchestrationEvent(next, "go");
  output(await ended(next));
});

test("the locks of a terminated orchestration are free", async () => {
  const ids = accounts(2);
  const holder = await hold(ids);
  await client.terminateOrchestration(holder, "enough");
  assert.equal(status(await ended(holder)), "TERMINATED");
  const next = await hold(ids);
  await client.raiseOrchestrationEvent(next, "go");
  output(await ended(next));
});

test("an orchestration that is terminated while it waits for a lock does not get it", async () => {
  const [id] = accounts(1);
  const holder = await hold([id]);
  const waiting = await client.scheduleNewOrchestration("holds", { ids: [`${id}`] }, fresh("waiting"));
  await until("it waits", async () => (await client.getEntity(id)).backlogQueueSize === 1);
  await client.terminateOrchestration(waiting);
  await ended(waiting);
  await client.raiseOrchestrationEvent(holder, "go");
  output(await ended(holder));
  const next = await hold([id]);
  assert.equal((await client.getEntity(id)).lockedBy, next);
  await client.raiseOrchestrationEvent(next, "go");
  output(await ended(next));
});

worker.orchestrator("forgetsTheLock", async function* (ctx, ids) {
  const [locked, other] = ids.map(EntityInstanceId.fromString);
  yield ctx.entities.lockEntities(locked);

  try {
    yield ctx.entities.callEntity(other, "get");
  } catch (error) {
    return error.message;
  }
});

test("in a critical section only what is locked can be called", async () => {
  const ids = accounts(2);
  assert.match(output(await run("forgetsTheLock", ids.map(String))), /not one of the locked entities/);
  await until("it is free", async () => (await client.getEntity(ids[0]))?.lockedBy === undefined);
});

worker.orchestrator("locksInTurns", async function* (ctx, { id, left }) {
  const lock = yield ctx.entities.lockEntities(EntityInstanceId.fromString(id));
  const amount = yield ctx.entities.callEntity(EntityInstanceId.fromString(id), "get");
  yield ctx.entities.callEntity(EntityInstanceId.fromString(id), "set", amount + 1);
  lock.release();

  if (left > 1) {
    ctx.continueAsNew({ id, left: left - 1 });
  }

  return amount + 1;
});

test("each generation locks for itself", async () => {
  const [id] = accounts(1);
  assert.equal(output(await run("locksInTurns", { id: `${id}`, left: 4 })), 104);
});

test("a suspended orchestration keeps its locks", async () => {
  const [id] = accounts(1);
  const holder = await hold([id]);
  await client.suspendOrchestration(holder);
  await reaches(holder, "SUSPENDED");
  await client.signalEntity(id, "set", 1);
  assert.equal((await client.getEntity(id)).lockedBy, holder);
  await client.resumeOrchestration(holder);
  await client.raiseOrchestrationEvent(holder, "go");
  assert.equal(output(await ended(holder)).seen, 100);
});
