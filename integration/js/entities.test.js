/** Entities: operations by signal and by call, of clients, orchestrations and other entities. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { EntityInstanceId, TaskEntity, whenAll } from "@microsoft/durabletask-js";
import { call, client, ended, entityState, fresh, messages, onlyWorker, output, reaches, run, status, until } from "./hub.js";

/** Milliseconds: late enough to look before. */
const SOON = 1200;

const worker = onlyWorker();

class Counter extends TaskEntity {
  initializeState() {
    return { total: 0 };
  }

  add(number) {
    this.state.total += number;

    return this.state.total;
  }

  get() {
    return this.state.total;
  }

  spoil(number) {
    this.state.total = number;
    throw new RangeError(`cannot take ${number}`);
  }
}

class Journal extends TaskEntity {
  initializeState() {
    return [];
  }

  append(entry) {
    this.state.push(entry);
  }

  stamp() {
    this.state.push(Date.now());
  }

  replace(text) {
    this.state = [text];
  }

  length() {
    return this.state[0].length;
  }
}

/** Makes others work. */
class Relay extends TaskEntity {
  tell({ to, operation, input, delay }) {
    const options = delay && { signalTime: new Date(Date.now() + delay) };
    this.context.signalEntity(EntityInstanceId.fromString(to), operation, input, options);
  }

  tellInVain(order) {
    this.tell(order);
    throw new Error("after all, no");
  }

  begin({ name, input, instanceId, delay }) {
    const startAt = delay && new Date(Date.now() + delay);

    return this.context.scheduleNewOrchestration(name, input, { instanceId, startAt });
  }

  whoAmI() {
    return this.context.id.toString();
  }
}

worker.entity("Counter", Counter);
worker.entity("journal", Journal);
worker.entity("relay", Relay);

/** Calls entities, one after the other; a step is id, operation and input. */
worker.orchestrator("operates", async function* (ctx, steps) {
  const results = [];

  for (const [id, operation, input] of steps) {
    results.push(yield ctx.entities.callEntity(EntityInstanceId.fromString(id), operation, input));
  }

  return results;
});

function an(name, key = fresh()) {
  return new EntityInstanceId(name, key);
}

/** Call an entity's operations, through an orchestration. */
async function operate(...steps) {
  return output(await run("operates", steps));
}

test("a client's signal changes an entity's state", async () => {
  const id = an("counter");
  const from = Date.now();
  await client.signalEntity(id, "add", 3);
  await until("3", async () => (await entityState(id))?.total === 3);

  const metadata = await client.getEntity(id);
  assert.equal(metadata.id.toString(), id.toString());
  assert.equal(metadata.backlogQueueSize, 0);
  assert.equal(metadata.lockedBy, undefined);
  assert.ok(Math.abs(metadata.lastModifiedTime - from) < 10_000);
});

test("100 signals of a client are done in order, each once", async () => {
  const id = an("journal");
  const entries = Array.from({ length: 100 }, (_, index) => index);

  for (const entry of entries) {
    await client.signalEntity(id, "append", entry);
  }

  await until("the last one", async () => (await entityState(id))?.length >= 100);
  assert.deepEqual(await entityState(id), entries);
});

test("an orchestration calls an entity and has its answers", async () => {
  const id = `${an("counter")}`;
  assert.deepEqual(await operate([id, "add", 5], [id, "add", -2], [id, "get"]), [5, 3, 3]);
});

test("an operation's name may be in other case", async () => {
  const id = `${an("counter")}`;
  assert.deepEqual(await operate([id, "ADD", 5], [id, "Get"]), [5, 5]);
});

worker.orchestrator("signalsThenAsks", async function* (ctx, id) {
  const entity = EntityInstanceId.fromString(id);

  for (let number = 1; number <= 10; number++) {
    ctx.entities.signalEntity(entity, "add", number);
  }

  return yield ctx.entities.callEntity(entity, "get");
});

test("a call comes after the signals that its orchestration sent before", async () => {
  assert.equal(output(await run("signalsThenAsks", `${an("counter")}`)), 55);
});

worker.orchestrator("onlySignals", async function* (ctx, id) {
  ctx.entities.signalEntity(EntityInstanceId.fromString(id), "add", 1);
});

test("a signal that an orchestration sends in its last turn arrives", async () => {
  const id = an("counter");
  assert.equal(status(await run("onlySignals", `${id}`)), "COMPLETED");
  await until("1", async () => (await entityState(id))?.total === 1);
});

worker.orchestrator("recovers", async function* (ctx, id) {
  try {
    yield ctx.entities.callEntity(EntityInstanceId.fromString(id), "spoil", 13);
  } catch (error) {
    const { entityId, operationName, failureDetails } = error;

    return [error.name, entityId.toString(), operationName, failureDetails.errorType, failureDetails.errorMessage];
  }
});

test("an operation that fails tells its caller, and leaves the state as it was", async () => {
  const id = `${an("counter")}`;
  await operate([id, "add", 4]);
  assert.deepEqual(output(await run("recovers", id)), [
    "EntityOperationFailedException",
    id,
    "spoil",
    "RangeError",
    "cannot take 13",
  ]);
  assert.deepEqual(await operate([id, "get"]), [4]);
});

test("a signal that fails is dropped, and the next one is done", async () => {
  const id = an("counter");
  await client.signalEntity(id, "spoil", 13);
  await client.signalEntity(id, "add", 2);
  await until("2", async () => (await entityState(id))?.total === 2);
});

test("an operation, or an entity, that the worker does not know fails the call", async () => {
  const noOperation = await run("operates", [[`${an("counter")}`, "fly"]]);
  assert.equal(status(noOperation), "FAILED");
  assert.match(noOperation.failureDetails.message, /fly/);

  const noEntity = await run("operates", [[`${an("unheardof")}`, "get"]]);
  assert.equal(status(noEntity), "FAILED");
  assert.match(noEntity.failureDetails.message, /unheardof/);
});

test("an entity is gone after its delete, and begins anew", async () => {
  const id = an("counter");
  await operate([`${id}`, "add", 9], [`${id}`, "delete"]);
  assert.equal(await entityState(id), undefined);
  assert.deepEqual(await operate([`${id}`, "get"]), [0]);
});

test("the state of an entity that never was is undefined", async () => {
  assert.equal(await client.getEntity(an("counter")), undefined);
});

test("a name in capitals on the wire is the same entity", async () => {
  const key = fresh();
  const request = new messages.SignalEntityRequest();
  request.setInstanceid(`@COUNTER@${key}`);
  request.setRequestid(crypto.randomUUID());
  request.setName("get");
  await call("signalEntity", request);
  assert.deepEqual(await operate([`@counter@${key}`, "add", 1]), [1]);

  const question = new messages.GetEntityRequest();
  question.setInstanceid(`@Counter@${key}`);
  question.setIncludestate(true);
  const answer = await call("getEntity", question);
  assert.equal(answer.getEntity().getInstanceid(), `@counter@${key}`);
  assert.equal(answer.getEntity().getSerializedstate().getValue(), '{"total":1}');
});

test("keys keep their case, and may have blanks, letters of all kinds and @", async () => {
  for (const key of ["Key", "key", "a @ b", "ключ/é", "@"]) {
    const id = `@relay@${key} ${fresh("k")}`;
    assert.deepEqual(await operate([id, "whoAmI"]), [id]);
  }
});

test("an id of more than 100 characters is refused", async () => {
  await assert.rejects(client.signalEntity(an("counter", "k".repeat(101)), "add", 1), /INVALID_ARGUMENT|length/);
  const longest = an("counter", "k".repeat(91));
  assert.equal(`${longest}`.length, 100);
  assert.deepEqual(await operate([`${longest}`, "delete"], [`${longest}`, "add", 1]), [null, 1]);
});

test("a state of 1 MiB is kept and given back", async () => {
  const id = `${an("journal")}`;
  const text = "x".repeat(1024 * 1024);
  assert.deepEqual(await operate([id, "replace", text], [id, "length"]), [null, text.length]);
  assert.ok((await entityState(EntityInstanceId.fromString(id)))[0] === text, "the state differs");
});

test("an entity signals another one", async () => {
  const [relay, to] = [an("relay"), an("counter")];
  await client.signalEntity(relay, "tell", { to, operation: "add", input: 6 });
  await until("6", async () => (await entityState(to))?.total === 6);
});

test("an entity signals itself", async () => {
  const relay = an("relay");
  const to = an("counter");
  await client.signalEntity(relay, "tell", { to: relay, operation: "tell", input: { to, operation: "add", input: 1 } });
  await until("1", async () => (await entityState(to))?.total === 1);
});

test("an operation that fails sends nothing", async () => {
  const [relay, to] = [an("relay"), an("journal")];
  await client.signalEntity(relay, "tellInVain", { to, operation: "append", input: "no" });
  await client.signalEntity(relay, "tell", { to, operation: "append", input: "yes" });
  await until("one entry", async () => (await entityState(to))?.length > 0);
  assert.deepEqual(await entityState(to), ["yes"]);
});

worker.orchestrator("returns", async (_, value) => value);

test("an entity starts an orchestration, and knows its id", async () => {
  const relay = `${an("relay")}`;
  const [id, given] = [await operate([relay, "begin", { name: "returns", input: 1 }]), fresh()];
  assert.equal(output(await ended(id[0])), 1);

  await client.signalEntity(EntityInstanceId.fromString(relay), "begin", { name: "returns", input: 2, instanceId: given });
  await reaches(given, "COMPLETED");
  assert.equal(output(await client.getOrchestrationState(given)), 2);
});

test("an entity starts an orchestration for later", async () => {
  const id = fresh();
  await operate([`${an("relay")}`, "begin", { name: "returns", input: 1, instanceId: id, delay: 600_000 }]);
  const state = await until("it is there", () => client.getOrchestrationState(id));
  assert.equal(status(state), "PENDING");
  await client.terminateOrchestration(id);
});

test("a client's signal for later is done when it is due, and what is sent meanwhile before it", async () => {
  const id = an("journal");
  const due = new Date(Date.now() + SOON);
  await client.signalEntity(id, "stamp", undefined, { signalTime: due });
  await client.signalEntity(id, "append", "meanwhile");
  await until("meanwhile", async () => (await entityState(id))?.length > 0);
  assert.deepEqual(await entityState(id), ["meanwhile"]);

  await until("the stamp", async () => (await entityState(id)).length > 1);
  assert.ok((await entityState(id))[1] >= due.getTime());
});

test("a signal for later does not make its entity exist", async () => {
  const id = an("journal");
  await client.signalEntity(id, "stamp", undefined, { signalTime: new Date(Date.now() + 600_000) });
  assert.equal(await entityState(id), undefined);
});

worker.orchestrator("signalsLater", async function* (ctx, [id, delay]) {
  const signalTime = new Date(ctx.currentUtcDateTime.getTime() + delay);
  ctx.entities.signalEntity(EntityInstanceId.fromString(id), "stamp", undefined, { signalTime });

  return signalTime.getTime();
});

test("an orchestration's signal for later is done when it is due", async () => {
  const id = an("journal");
  const due = output(await run("signalsLater", [id, SOON]));
  await until("the stamp", async () => (await entityState(id))?.length > 0);
  assert.ok((await entityState(id))[0] >= due);
});

test("an entity's signal for later is done when it is due", async () => {
  const [relay, to] = [an("relay"), an("journal")];
  const from = Date.now();
  await client.signalEntity(relay, "tell", { to, operation: "stamp", delay: SOON });
  await until("the stamp", async () => (await entityState(to))?.length > 0);
  assert.ok((await entityState(to))[0] >= from + SOON);
});

worker.orchestrator("addsOften", async function* (ctx, [id, times]) {
  const answers = [];

  for (let round = 0; round < times; round++) {
    answers.push(yield ctx.entities.callEntity(EntityInstanceId.fromString(id), "add", 1));
  }

  return answers;
});

test("20 orchestrations that add to one entity lose nothing", async () => {
  const id = `${an("counter")}`;
  const states = await Promise.all(Array.from({ length: 20 }, () => run("addsOften", [id, 5])));
  const answers = states.flatMap(output);
  assert.deepEqual(
    answers.sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
});

worker.orchestrator("asksMany", async function* (ctx, ids) {
  return yield whenAll(ids.map((id, index) => ctx.entities.callEntity(EntityInstanceId.fromString(id), "add", index)));
});

test("an orchestration calls 50 entities at once", async () => {
  const ids = Array.from({ length: 50 }, () => `${an("counter")}`);
  assert.deepEqual(output(await run("asksMany", ids)), [...ids.keys()]);
});

worker.orchestrator("continuesBetween", async function* (ctx, [id, left]) {
  const total = yield ctx.entities.callEntity(EntityInstanceId.fromString(id), "add", 1);

  if (left > 1) {
    ctx.continueAsNew([id, left - 1]);
  }

  return total;
});

test("calls of several generations reach the same entity", async () => {
  assert.equal(output(await run("continuesBetween", [`${an("counter")}`, 5])), 5);
});
