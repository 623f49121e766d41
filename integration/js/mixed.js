/** A worker of the npm SDK among those of other languages, for `../test_mixed_languages.py`: it asks for what it has, and no more. */

import { TaskEntity, EntityInstanceId, TaskHubGrpcWorker } from "@microsoft/durabletask-js";

const worker = new TaskHubGrpcWorker({
  hostAddress: process.env.DURABLETASK_ADDRESS,
  logger: { error: console.error, warn: console.error, info() {}, debug() {} },
  workItemFilters: "auto",
});

worker.addNamedActivity("js_greet", (_, name) => `js greets ${name}`);
worker.addNamedActivity("js_breaks", (_, what) => {
  throw new RangeError(`js breaks ${what}`);
});

worker.addNamedOrchestrator("js_child", async function* (ctx, name) {
  return `${yield ctx.callActivity("js_greet", name)}, from ${ctx.instanceId}`;
});

worker.addNamedOrchestrator("js_visits", async function* (ctx, language) {
  const greeting = yield ctx.callActivity(`${language}_greet`, "wörld");
  const told = yield ctx.callSubOrchestrator(`${language}_child`, "mum", { instanceId: `${ctx.instanceId}-child` });

  try {
    yield ctx.callActivity(`${language}_breaks`, "it");
  } catch (error) {
    return [greeting, told, error.details.message];
  }

  return [];
});

class Counter extends TaskEntity {
  initializeState() {
    return 0;
  }

  add(number) {
    this.state += number;

    return this.state;
  }
}

worker.addNamedEntity("js_counter", () => new Counter());

worker.addNamedOrchestrator("js_counts", async function* (ctx, [language, key]) {
  const id = new EntityInstanceId(`${language}_counter`, key);
  ctx.entities.signalEntity(id, "add", 1);

  return yield ctx.entities.callEntity(id, "add", 10);
});

await worker.start();
process.on("SIGTERM", async () => {
  await worker.stop();
  process.exit();
});
