/** Which worker gets what: versions, and filters for work items. */

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { test } from "node:test";
import {
  EntityInstanceId,
  TaskEntity,
  TaskHubGrpcClient,
  VersionFailureStrategy,
  VersionMatchStrategy,
} from "@microsoft/durabletask-js";
import { ADDRESS, QUIET, client, ended, entityState, fresh, newWorker, output, run, status, until } from "./hub.js";

const { CurrentOrOlder, Strict } = VersionMatchStrategy;
const { Fail, Reject } = VersionFailureStrategy;

/** Start a worker whose orchestration tells who ran it, and whose activity tells the same; it stops with the test. */
async function start(t, label, options, names = ["tells"]) {
  const worker = newWorker(options);
  worker.activity("who", () => label);

  for (const name of names) {
    worker.orchestrator(name, async function* (ctx) {
      return [label, yield ctx.callActivity("who"), ctx.version];
    });
  }

  await worker.start();
  t.after(() => worker.stop());
}

/** Options of a worker for a version, and the moment at which it refuses something. */
function versioned(version, matchStrategy, failureStrategy) {
  const refusals = new EventEmitter();
  const info = (message) => message.includes("Abandoning") && refusals.emit("refusal", message);
  const options = { versioning: { version, matchStrategy, failureStrategy }, logger: { ...QUIET, info } };

  return { options, refusal: once(refusals, "refusal") };
}

test("an orchestration has the version it was started with, or the client's default, or none", async (t) => {
  await start(t, "any", {});
  const other = new TaskHubGrpcClient({ hostAddress: ADDRESS, logger: QUIET, defaultVersion: "2.5" });
  t.after(() => other.stop());

  assert.deepEqual(output(await run("tells", 1, { version: "1.0.0" })), ["any", "any", "1.0.0"]);
  assert.deepEqual(output(await run("tells", 1)), ["any", "any", ""]);
  assert.deepEqual(output(await ended(await other.scheduleNewOrchestration("tells", 1))), ["any", "any", "2.5"]);
});

test("what a strict worker rejects waits until there is a worker for it", async (t) => {
  const { options, refusal } = versioned("1.0.0", Strict, Reject);
  await start(t, "one", options);
  const id = await client.scheduleNewOrchestration("tells", 1, { version: "2.0.0" });
  const [message] = await refusal;
  assert.match(message, /'2\.0\.0' does not match the worker version '1\.0\.0'/);
  assert.equal(status(await client.getOrchestrationState(id)), "PENDING");

  // What it does not reject is not held up by what it does.
  assert.deepEqual(output(await run("tells", 1, { version: "1.0.0" })), ["one", "one", "1.0.0"]);

  await start(t, "two", { ...versioned("2.0.0", Strict, Reject).options, workItemFilters: "auto" });
  // Its activity is anybody's: a worker refuses orchestrations only.
  const [ran, , version] = output(await ended(id));
  assert.deepEqual([ran, version], ["two", "2.0.0"]);
});

test("what a strict worker fails has failed for its version", async (t) => {
  await start(t, "one", versioned("1.0.0", Strict, Fail).options);
  const state = await run("tells", 1, { version: "2.0.0" });
  assert.equal(status(state), "FAILED");
  assert.equal(state.failureDetails.errorType, "VersionMismatch");
  assert.match(state.failureDetails.message, /2\.0\.0/);
});

test("a worker for current or older versions refuses newer ones only", async (t) => {
  await start(t, "one", versioned("1.5.0", CurrentOrOlder, Fail).options);
  assert.equal(status(await run("tells", 1, { version: "1.5.0" })), "COMPLETED");
  assert.equal(status(await run("tells", 1, { version: "1.4.9" })), "COMPLETED");
  assert.equal(status(await run("tells", 1)), "COMPLETED");
  assert.equal(status(await run("tells", 1, { version: "1.6.0" })), "FAILED");
});

test("a worker with filters gets only what they name", async (t) => {
  const workItemFilters = { orchestrations: [{ name: "mine" }], activities: [{ name: "who" }] };
  await start(t, "picky", { workItemFilters }, ["mine", "theirs"]);
  const theirs = await client.scheduleNewOrchestration("theirs");
  assert.deepEqual(output(await run("mine")), ["picky", "picky", ""]);
  assert.equal(status(await client.getOrchestrationState(theirs)), "PENDING");

  await start(t, "other", { workItemFilters: "auto" }, ["theirs"]);
  assert.equal(output(await ended(theirs))[0], "other");
});

test("a worker whose filters name no activities gets none", async (t) => {
  await start(t, "picky", { workItemFilters: { orchestrations: [{ name: "tells" }] } });
  const id = await client.scheduleNewOrchestration("tells");
  await until("it asks for its activity", async () =>
    (await client.getOrchestrationHistory(id)).some((event) => event.type === "TaskScheduled"),
  );
  await start(t, "busy", { workItemFilters: { activities: [{ name: "who" }] } });
  assert.deepEqual(output(await ended(id)), ["picky", "busy", ""]);
});

test("filters with versions bring orchestrations, and the activities they call, to the worker of their version", async (t) => {
  for (const version of ["1.0.0", "2.0.0"]) {
    const orchestrations = [{ name: "tells", versions: [version] }];
    const activities = [{ name: "who", versions: [version] }];
    await start(t, version, { workItemFilters: { orchestrations, activities } });
  }

  for (let round = 0; round < 3; round++) {
    for (const version of ["1.0.0", "2.0.0"]) {
      assert.deepEqual(output(await run("tells", round, { version })), [version, version, version]);
    }
  }
});

test("automatic filters of strict workers keep two versions apart", async (t) => {
  for (const version of ["1.0.0", "2.0.0"]) {
    const { options, refusal } = versioned(version, Strict, Reject);
    refusal.then(() => assert.fail(`${version} was given what it refuses`));
    await start(t, version, { ...options, workItemFilters: "auto" });
  }

  const versions = ["1.0.0", "2.0.0", "1.0.0", "2.0.0", "1.0.0", "2.0.0"];
  const states = await Promise.all(versions.map((version) => run("tells", 1, { version })));
  assert.deepEqual(
    states.map((state) => output(state)[0]),
    versions,
  );
});

class Box extends TaskEntity {
  initializeState() {
    return null;
  }

  put(value) {
    this.state = value;
  }
}

test("a filter for entities keeps other entities waiting", async (t) => {
  const [mine, theirs] = [new EntityInstanceId("mine", fresh()), new EntityInstanceId("Theirs", fresh())];
  const worker = newWorker({ workItemFilters: { entities: [{ name: "Mine" }] } });
  worker.entity("mine", Box);
  worker.entity("theirs", Box);
  await worker.start();
  t.after(() => worker.stop());

  await client.signalEntity(theirs, "put", 1);
  await client.signalEntity(mine, "put", 2);
  await until("the one is done", async () => (await entityState(mine)) === 2);
  const waiting = await client.getEntity(theirs);
  assert.equal(waiting.includesState, false);
  assert.equal(waiting.backlogQueueSize, 1);

  const other = newWorker({ workItemFilters: "auto" });
  other.entity("theirs", Box);
  await other.start();
  t.after(() => other.stop());
  await until("the other is done", async () => (await entityState(theirs)) === 1);
});
