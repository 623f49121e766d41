/** Tracing: what the SDK makes of the trace contexts that the server keeps and hands on. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { onlyWorker, output, run, until } from "./hub.js";

const OK = SpanStatusCode.OK;
const INSTANCE = "durabletask.task.instance_id";
const FIRST = "durabletask.task.replay_span_id";

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider();
provider.addSpanProcessor(new SimpleSpanProcessor(exporter));
trace.setGlobalTracerProvider(provider);

const worker = onlyWorker();
worker.activity("traced", (_, value) => value);
worker.orchestrator("tracedChild", async function* (ctx) {
  return yield ctx.callActivity("traced", "child");
});
worker.orchestrator("tracedParent", async function* (ctx) {
  yield ctx.createTimer(0.01);
  yield ctx.callActivity("traced", "parent");

  return yield ctx.callSubOrchestrator("tracedChild");
});

test("one trace goes from the client over the orchestration to its activity, its child and the child's activity", async () => {
  assert.equal(output(await run("tracedParent")), "child");
  const spans = await until("the last turn of the parent is there", () => {
    const found = exporter.getFinishedSpans();

    return found.some((span) => span.name.startsWith("orchestration:tracedParent") && span.status.code === OK) && found;
  });
  const [start] = spans.filter((span) => span.name === "create_orchestration:tracedParent");
  const turns = spans.filter((span) => span.name === "orchestration:tracedParent" && span.kind === SpanKind.SERVER);
  const done = spans.filter((span) => span.kind === SpanKind.SERVER).map((span) => span.name);

  assert.ok(turns.length >= 3);
  assert.deepEqual(new Set(turns.map((span) => span.parentSpanId)), new Set([start.spanContext().spanId]));
  assert.deepEqual(new Set(spans.map((span) => span.spanContext().traceId)), new Set([start.spanContext().traceId]));
  assert.equal(done.filter((name) => name === "activity:traced").length, 2);
  assert.ok(done.includes("orchestration:tracedChild"));
});

test("all turns of an orchestration are told the same first span", async () => {
  const state = await run("tracedParent");
  const turns = await until("its turns are there", () => {
    const found = exporter.getFinishedSpans().filter((span) => span.attributes[INSTANCE] === state.instanceId);
    const replayed = found.filter((span) => FIRST in span.attributes);

    return replayed.length >= 2 && replayed;
  });
  assert.equal(new Set(turns.map((span) => span.attributes[FIRST])).size, 1);
});
