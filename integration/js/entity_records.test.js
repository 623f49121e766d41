/** What a hub keeps of its entities: queries, and what is cleaned away. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { EntityInstanceId, TaskEntity } from "@microsoft/durabletask-js";
import { all, client, ended, entityState, fresh, onlyWorker, until } from "./hub.js";

const worker = onlyWorker();

class Shelf extends TaskEntity {
  initializeState() {
    return null;
  }

  put(value) {
    this.state = value;
  }
}

worker.entity("shelf", Shelf);
worker.entity("shelter", Shelf);

/** Give entities whose keys begin alike a state each. */
async function fill(prefix, count, name = "shelf") {
  const ids = Array.from({ length: count }, (_, index) => new EntityInstanceId(name, `${prefix}-${index}`));
  await Promise.all(ids.map((id, index) => client.signalEntity(id, "put", index)));
  await until("they have it", async () =>
    (await Promise.all(ids.map(entityState))).every((state, index) => state === index),
  );

  return ids.map(String);
}

async function found(query) {
  return (await all(client.getEntities(query))).map((one) => `${one.id}`);
}

test("entities are found by the beginning of their ids, each once, over several pages", async () => {
  const prefix = fresh("page");
  const ids = await fill(prefix, 9);
  const query = { instanceIdStartsWith: `@shelf@${prefix}`, pageSize: 4 };
  assert.deepEqual(await found(query), ids);

  const pages = await all(client.getEntities(query).asPages());
  assert.deepEqual(
    pages.map((page) => page.values.length),
    [4, 4, 1],
  );
  assert.equal(pages.at(-1).hasMoreResults, false);

  const rest = { ...query, continuationToken: pages[0].continuationToken };
  assert.deepEqual(await found(rest), ids.slice(4));
});

test("a prefix may be a name in any case, with or without @", async () => {
  const prefix = fresh("name");
  const [id] = await fill(prefix, 1, "shelter");
  assert.ok((await found({ instanceIdStartsWith: "Shelter" })).includes(id));
  assert.ok((await found({ instanceIdStartsWith: "@SHELTER@" })).includes(id));
  assert.ok(!(await found({ instanceIdStartsWith: "shelf" })).includes(id));
  assert.deepEqual(await found({ instanceIdStartsWith: `@shelter@${prefix.toUpperCase()}` }), []);
});

test("a query brings states only where they are asked for", async () => {
  const prefix = fresh("state");
  const [id] = await fill(prefix, 1);
  const [whole] = await all(client.getEntities({ instanceIdStartsWith: id, includeState: true }));
  assert.equal(whole.state, 0);
  const [bare] = await all(client.getEntities({ instanceIdStartsWith: id, includeState: false }));
  assert.equal(bare.includesState, false);
  assert.equal((await client.getEntity(EntityInstanceId.fromString(id), false)).includesState, false);
});

test("a query between two times finds what was changed between them", async () => {
  const prefix = fresh("time");
  const [first] = await fill(`${prefix}-a`, 1);
  const { lastModifiedTime } = await client.getEntity(EntityInstanceId.fromString(first));
  const between = new Date(lastModifiedTime.getTime() + 1);
  await until("the next millisecond", () => Date.now() > between.getTime());
  const [second] = await fill(`${prefix}-b`, 1);

  const instanceIdStartsWith = `@shelf@${prefix}`;
  assert.deepEqual(await found({ instanceIdStartsWith, lastModifiedTo: between }), [first]);
  assert.deepEqual(await found({ instanceIdStartsWith, lastModifiedFrom: between }), [second]);
});

worker.orchestrator("holds", async function* (ctx, id) {
  const lock = yield ctx.entities.lockEntities(EntityInstanceId.fromString(id));
  ctx.setCustomStatus("locked");
  yield ctx.waitForExternalEvent("go");
  lock.release();
});

test("an entity that has a lock but no state is found only where that is asked for", async () => {
  const id = `@shelf@${fresh("transient")}`;
  const holder = await client.scheduleNewOrchestration("holds", id);
  await until("it is locked", async () => (await client.getOrchestrationState(holder)).serializedCustomStatus);
  assert.deepEqual(await found({ instanceIdStartsWith: id }), []);
  assert.deepEqual(await found({ instanceIdStartsWith: id, includeTransient: true }), [id]);

  // Nor is it cleaned away.
  await client.cleanEntityStorage();
  assert.equal((await client.getEntity(EntityInstanceId.fromString(id))).lockedBy, holder);
  await client.raiseOrchestrationEvent(holder, "go");
  await ended(holder);
});

test("orchestrations are no entities, and entities no orchestrations", async () => {
  const prefix = fresh("kinds");
  const [id] = await fill(prefix, 1);
  assert.deepEqual(await all(client.getAllInstances({ instanceIdPrefix: "@" })), []);
  assert.deepEqual(await found({ instanceIdStartsWith: id }), [id]);
});

test("cleaning takes entities without state, and leaves the others", async () => {
  const prefix = fresh("clean");
  const ids = (await fill(prefix, 3)).map(EntityInstanceId.fromString);
  await Promise.all(ids.slice(0, 2).map((id) => client.signalEntity(id, "delete")));
  await until("they are empty", async () =>
    (await Promise.all(ids.slice(0, 2).map(entityState))).every((state) => state === undefined),
  );

  const result = await client.cleanEntityStorage();
  assert.equal(result.continuationToken, undefined);
  assert.equal(result.orphanedLocksReleased, 0);
  const left = await found({ instanceIdStartsWith: `@shelf@${prefix}`, includeTransient: true });
  assert.deepEqual(left, [`${ids[2]}`]);
  assert.equal((await client.cleanEntityStorage()).emptyEntitiesRemoved, 0);
});
