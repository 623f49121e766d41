/** The hub under test, as the npm SDK sees it: a client, workers, and the waiting that tests have in common. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, beforeEach } from "node:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import clientGrpc from "@microsoft/durabletask-js/dist/client/client-grpc.js";
import messages from "@microsoft/durabletask-js/dist/proto/orchestrator_service_pb.js";
import { OrchestrationStatus, TaskHubGrpcClient, TaskHubGrpcWorker } from "@microsoft/durabletask-js";

export { messages };

export const ADDRESS = process.env.DURABLETASK_ADDRESS ?? "localhost:4001";
const PATIENCE = 20;

// What the SDK says at `info` would bury the rest.
export const QUIET = { error: console.error, warn: console.error, info() {}, debug() {} };

export const client = new TaskHubGrpcClient({ hostAddress: ADDRESS, logger: QUIET });
const running = new Set();

after(async () => {
  await Promise.all([...running].map((worker) => worker.stop()));
  await client.stop();
});

/** A worker that is not started yet; it is stopped after the file's last test. */
export function newWorker(options = {}) {
  const worker = new TaskHubGrpcWorker({ hostAddress: ADDRESS, logger: QUIET, ...options });

  return {
    orchestrator: (name, fn) => worker.addNamedOrchestrator(name, fn),
    activity: (name, fn) => worker.addNamedActivity(name, fn),
    entity: (name, type) => worker.addNamedEntity(name, () => new type()),

    async start() {
      await worker.start();
      running.add(worker);
    },

    async stop() {
      running.delete(worker);
      await worker.stop();
    },
  };
}

/** The worker of a file that needs only one, started before its first test. */
export function onlyWorker() {
  const worker = newWorker();
  let started;

  beforeEach(async () => {
    // The first test may begin while the file that says what the worker can do is still read.
    await setImmediate();
    await (started ??= worker.start());
  });

  return worker;
}

/** An instance id that was never used. */
export function fresh(what = "js") {
  return `${what}-${randomUUID()}`;
}

/** What an instance is when it has ended. */
export async function ended(id) {
  const state = await client.waitForOrchestrationCompletion(id, true, PATIENCE);
  assert.ok(state, `${id} does not exist`);

  return state;
}

/** Start an orchestration, and wait until it has ended. */
export async function run(name, input, options) {
  return ended(await client.scheduleNewOrchestration(name, input, options));
}

/** What a completed instance returned. */
export function output(state) {
  assert.equal(status(state), "COMPLETED", state.failureDetails?.message);

  return JSON.parse(state.serializedOutput);
}

/** The name of an instance's status. */
export function status(state) {
  return OrchestrationStatus[state.runtimeStatus];
}

/** Ask until the answer is truthy, for what can only be asked for. */
export async function until(what, probe) {
  for (const deadline = Date.now() + PATIENCE * 1000; Date.now() < deadline; await sleep(20)) {
    const answer = await probe();

    if (answer) {
      return answer;
    }
  }

  return assert.fail(`not within ${PATIENCE} s: ${what}`);
}

/** Wait until an instance, which has no other way to tell, has a status. */
export function reaches(id, wanted) {
  return until(`${id} is ${wanted}`, async () => {
    const state = await client.getOrchestrationState(id);

    return state && status(state) === wanted && state;
  });
}

/** An entity's state, if it has one. */
export async function entityState(id) {
  const found = await client.getEntity(id);

  // The SDK throws where a state is asked for that is not there.
  return found?.includesState ? found.state : undefined;
}

/** All that a pageable yields. */
export async function all(pageable) {
  const found = [];

  for await (const one of pageable) {
    found.push(one);
  }

  return found;
}

/** The types of a history's events. */
export async function historyTypes(id) {
  return (await client.getOrchestrationHistory(id)).map((event) => event.type);
}

const { stub } = new clientGrpc.GrpcClient(ADDRESS);
after(() => stub.close());

/** Make a call of the SDK's generated stub, for fields that its client does not have. */
export function call(method, request) {
  return new Promise((resolve, reject) => {
    stub[method](request, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

/** All that a streaming call of the stub brings. */
export function collect(method, request) {
  return all(stub[method](request));
}
