package interop;

import static interop.Hub.output;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.Task;
import com.microsoft.durabletask.TaskOrchestrationContext;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What an orchestration is made of: activities, children, timers, generations, status and payloads. */
class FlowsTest {
  // 1 MiB, in characters of two bytes.
  private static final String LARGE = "é".repeat(512 * 1024);
  private static final Hub hub = new Hub();

  @BeforeAll
  static void start() {
    hub.worker.activity("increment", ctx -> ctx.getInput(int.class) + 1);
    hub.worker.activity("echo", ctx -> ctx.getInput(String.class));
    hub.worker.orchestrator("threeSteps", FlowsTest::threeSteps);
    hub.worker.orchestrator("noSteps", ctx -> ctx.complete(ctx.getInput(int[].class)));
    hub.worker.orchestrator("nothing", ctx -> {});
    hub.worker.orchestrator("fanOut", FlowsTest::fanOut);
    hub.worker.orchestrator("child", FlowsTest::child);
    hub.worker.orchestrator("parent", FlowsTest::parent);
    hub.worker.orchestrator("twoChildren", FlowsTest::twoChildren);
    hub.worker.orchestrator("sleeper", FlowsTest::sleeper);
    hub.worker.orchestrator("firstOfTwo", FlowsTest::firstOfTwo);
    hub.worker.orchestrator("countsUp", FlowsTest::countsUp);
    hub.worker.orchestrator("draws", FlowsTest::draws);
    hub.worker.orchestrator("tells", FlowsTest::tells);
    hub.worker.orchestrator("echoes", ctx -> ctx.complete(ctx.callActivity("echo", ctx.getInput(String.class), String.class).await()));
    hub.start();
  }

  @AfterAll
  static void stop() throws InterruptedException {
    hub.close();
  }

  private static void threeSteps(TaskOrchestrationContext ctx) {
    int number = ctx.getInput(int.class);

    for (int step = 0; step < 3; step++) {
      number = ctx.callActivity("increment", number, Integer.class).await();
    }

    ctx.complete(number);
  }

  @Test
  void sequenceHandsEachActivityWhatTheLastOneReturned() throws Exception {
    var state = hub.run("threeSteps", 4);
    assertEquals(7, output(state, int.class));
    assertEquals("threeSteps", state.getName());
    assertEquals("4", state.getSerializedInput());
    assertFalse(hub.record(state.getInstanceId()).hasFailureDetails());
    assertFalse(state.getLastUpdatedAt().isBefore(state.getCreatedAt()));
  }

  @Test
  void sequenceOfNoStepsReturnsWhatItWasGiven() throws Exception {
    assertArrayEquals(new int[] {3, 1, 2}, output(hub.run("noSteps", new int[] {3, 1, 2}), int[].class));
  }

  @Test
  void sequenceWithoutInputAndOutputCompletes() throws Exception {
    var state = hub.run("nothing", null);
    assertEquals(OrchestrationRuntimeStatus.COMPLETED, state.getRuntimeStatus());
    assertTrue(state.getSerializedOutput() == null || state.getSerializedOutput().isEmpty());
  }

  private static void fanOut(TaskOrchestrationContext ctx) {
    List<Task<Integer>> tasks =
        IntStream.range(0, ctx.getInput(int.class)).mapToObj(n -> ctx.callActivity("increment", n, Integer.class)).toList();
    ctx.complete(ctx.allOf(tasks).await());
  }

  @Test
  void fanOutOver100ActivitiesReturnsTheirResultsInOrder() throws Exception {
    assertArrayEquals(IntStream.rangeClosed(1, 100).toArray(), output(hub.run("fanOut", 100), int[].class));
  }

  private static void child(TaskOrchestrationContext ctx) {
    ctx.complete(ctx.getInstanceId() + "=" + ctx.callActivity("increment", ctx.getInput(int.class), Integer.class).await());
  }

  private static void parent(TaskOrchestrationContext ctx) {
    ctx.complete(ctx.callSubOrchestrator("child", 1, ctx.getInput(String.class), String.class).await());
  }

  @Test
  void subOrchestrationHasTheIdItWasGiven() throws Exception {
    var childId = "child-" + UUID.randomUUID();
    var state = hub.run("parent", childId);
    assertEquals(childId + "=2", output(state, String.class));
    assertEquals(OrchestrationRuntimeStatus.COMPLETED, hub.status(childId));
  }

  private static void twoChildren(TaskOrchestrationContext ctx) {
    var children = List.of(ctx.callSubOrchestrator("child", 1, String.class), ctx.callSubOrchestrator("child", 2, String.class));
    ctx.complete(ctx.allOf(children).await());
  }

  @Test
  void subOrchestrationsWithoutIdsRunBesideEachOther() throws Exception {
    var told = output(hub.run("twoChildren", null), String[].class);
    assertTrue(told[0].endsWith("=2") && told[1].endsWith("=3"), () -> String.join(" ", told));
    assertNotEquals(told[0].split("=")[0], told[1].split("=")[0]);
  }

  private static void sleeper(TaskOrchestrationContext ctx) {
    var start = ctx.getCurrentInstant();
    ctx.createTimer(Duration.ofMillis(ctx.getInput(int.class))).await();
    ctx.complete(Duration.between(start, ctx.getCurrentInstant()).toMillis());
  }

  @Test
  void timerFiresWhenItIsDue() throws Exception {
    var slept = output(hub.run("sleeper", 300), long.class);
    assertTrue(slept >= 300 && slept < 5_000, () -> "slept " + slept + " ms");
  }

  @Test
  void timerInThePastFiresAtOnce() throws Exception {
    var slept = output(hub.run("sleeper", -60_000), long.class);
    assertTrue(slept < 5_000, () -> "slept " + slept + " ms");
  }

  private static void firstOfTwo(TaskOrchestrationContext ctx) {
    var never = ctx.waitForExternalEvent("never", String.class);
    var timer = ctx.createTimer(Duration.ofMillis(100));
    ctx.complete(ctx.anyOf(List.of(never, timer)).await() == timer ? "timer" : "event");
  }

  @Test
  void timerWinsOverAnEventThatDoesNotCome() throws Exception {
    assertEquals("timer", output(hub.run("firstOfTwo", null), String.class));
  }

  private static void countsUp(TaskOrchestrationContext ctx) {
    int at = ctx.callActivity("increment", ctx.getInput(int.class), Integer.class).await();

    if (at < 10) {
      ctx.continueAsNew(at);
    } else {
      ctx.complete(at);
    }
  }

  @Test
  void continueAsNewTenTimes() throws Exception {
    var state = hub.run("countsUp", 0);
    assertEquals(10, output(state, int.class));
    assertEquals("9", state.getSerializedInput());
  }

  private static void draws(TaskOrchestrationContext ctx) {
    var drawn = List.of(ctx.newUUID().toString(), ctx.newUUID().toString());
    ctx.callActivity("increment", 1).await();
    ctx.setCustomStatus(drawn);
    ctx.callActivity("increment", 2).await();
    ctx.complete(drawn);
  }

  @Test
  void sequenceDrawsTheSameIdsInEachReplay() throws Exception {
    var state = hub.run("draws", null);
    var drawn = output(state, String[].class);
    assertEquals(2, new HashSet<>(List.of(drawn)).size());
    assertArrayEquals(state.readCustomStatusAs(String[].class), drawn);
  }

  private static void tells(TaskOrchestrationContext ctx) {
    ctx.setCustomStatus("wäiting");
    ctx.waitForExternalEvent("go").await();

    if (ctx.getInput(boolean.class)) {
      ctx.clearCustomStatus();
    } else {
      ctx.setCustomStatus(new int[] {1, 2});
    }
  }

  @Test
  void customStatusIsSeenWhileTheOrchestrationRunsAndAfterItsEnd() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("tells", false);
    Hub.until("it tells", () -> hub.client.getInstanceMetadata(id, true).isCustomStatusFetched());
    assertEquals("wäiting", hub.client.getInstanceMetadata(id, true).readCustomStatusAs(String.class));
    hub.client.raiseEvent(id, "go");
    assertArrayEquals(new int[] {1, 2}, hub.ended(id).readCustomStatusAs(int[].class));
  }

  @Test
  void customStatusThatIsClearedIsGone() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("tells", true);
    Hub.until("it tells", () -> hub.client.getInstanceMetadata(id, true).isCustomStatusFetched());
    hub.client.raiseEvent(id, "go");
    assertFalse(hub.ended(id).isCustomStatusFetched());
  }

  @Test
  void largePayloadPassesThroughAnOrchestrationAndAnActivity() throws Exception {
    var state = hub.run("echoes", LARGE);
    assertEquals(LARGE, output(state, String.class));
    assertEquals(LARGE, state.readInputAs(String.class));
  }
}
