package interop;

import static interop.Hub.output;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.microsoft.durabletask.TaskCanceledException;
import com.microsoft.durabletask.TaskOrchestrationContext;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Events from outside, from other orchestrations, and over generations. */
class EventsTest {
  private static final Hub hub = new Hub();

  @BeforeAll
  static void start() {
    hub.worker.activity("nothing", ctx -> null);
    hub.worker.orchestrator("awaitsOne", ctx -> ctx.complete(ctx.waitForExternalEvent("Answer", String.class).await()));
    hub.worker.orchestrator("awaitsMany", ctx -> ctx.complete(hundredNumbers(ctx)));
    hub.worker.orchestrator("collects", EventsTest::collects);
    hub.worker.orchestrator("impatient", EventsTest::impatient);
    hub.worker.orchestrator("late", EventsTest::late);
    hub.worker.orchestrator("caller", EventsTest::caller);
    hub.start();
  }

  @AfterAll
  static void stop() throws InterruptedException {
    hub.close();
  }

  @Test
  void oneEventReachesTheOrchestrationThatWaitsForIt() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("awaitsOne");
    hub.client.waitForInstanceStart(id, Hub.PATIENCE);
    hub.client.raiseEvent(id, "Answer", "yäs");
    assertEquals("yäs", output(hub.ended(id), String.class));
  }

  @Test
  void oneEventIsKeptUntilItIsWaitedFor() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("late");
    hub.client.raiseEvent(id, "go", 42);
    hub.client.raiseEvent(id, "start");
    assertEquals(42, output(hub.ended(id), int.class));
  }

  private static void late(TaskOrchestrationContext ctx) {
    ctx.waitForExternalEvent("start").await();
    ctx.callActivity("nothing").await();
    ctx.complete(ctx.waitForExternalEvent("go", Integer.class).await());
  }

  @Test
  void oneEventOf1MiBArrives() throws Exception {
    var large = "é".repeat(512 * 1024);
    var id = hub.client.scheduleNewOrchestrationInstance("awaitsOne");
    hub.client.raiseEvent(id, "Answer", large);
    assertEquals(large, output(hub.ended(id), String.class));
  }

  @Test
  void oneEventForNobodyIsRefused() {
    var nobody = "nobody-" + UUID.randomUUID();
    var refused = assertThrows(StatusRuntimeException.class, () -> hub.client.raiseEvent(nobody, "Answer", "x"));
    assertEquals(Status.Code.NOT_FOUND, refused.getStatus().getCode());
  }

  private static void impatient(TaskOrchestrationContext ctx) {
    try {
      ctx.complete(ctx.waitForExternalEvent("Answer", Duration.ofMillis(ctx.getInput(int.class)), String.class).await());
    } catch (TaskCanceledException tooLate) {
      ctx.complete("too late");
    }
  }

  @Test
  void oneEventThatDoesNotComeInTimeIsGivenUp() throws Exception {
    assertEquals("too late", output(hub.run("impatient", 200), String.class));
  }

  @Test
  void oneEventThatComesInTimeIsTaken() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("impatient", 3_600_000);
    hub.client.raiseEvent(id, "Answer", "in time");
    assertEquals("in time", output(hub.ended(id), String.class));
  }

  private static void caller(TaskOrchestrationContext ctx) {
    ctx.sendEvent(ctx.getInput(String.class), "Answer", "from " + ctx.getInstanceId());
    ctx.callActivity("nothing").await();
    ctx.complete("sent");
  }

  @Test
  void oneEventIsSentByAnotherOrchestration() throws Exception {
    var target = hub.client.scheduleNewOrchestrationInstance("awaitsOne");
    var id = hub.client.scheduleNewOrchestrationInstance("caller", target);
    assertEquals("sent", output(hub.ended(id), String.class));
    assertEquals("from " + id, output(hub.ended(target), String.class));
  }

  private static List<Integer> hundredNumbers(TaskOrchestrationContext ctx) {
    List<Integer> seen = new ArrayList<>();

    while (seen.size() < 100) {
      seen.add(ctx.waitForExternalEvent("number", Integer.class).await());
    }

    return seen;
  }

  @Test
  void hundredEventsArriveOnceEachInTheirOrder() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("awaitsMany");
    IntStream.range(0, 100).forEach(number -> hub.client.raiseEvent(id, "number", number));
    assertArrayEquals(IntStream.range(0, 100).toArray(), output(hub.ended(id), int[].class));
  }

  @Test
  void hundredEventsAtOnceAllArrive() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("awaitsMany");
    IntStream.range(0, 100).parallel().forEach(number -> hub.client.raiseEvent(id, "number", number));
    var seen = output(hub.ended(id), int[].class);
    Arrays.sort(seen);
    assertArrayEquals(IntStream.range(0, 100).toArray(), seen);
  }

  private static void collects(TaskOrchestrationContext ctx) {
    if (ctx.getInput(boolean.class)) {
      ctx.waitForExternalEvent("go").await();
      ctx.continueAsNew(false, true);
    } else {
      ctx.complete(hundredNumbers(ctx));
    }
  }

  @Test
  void continueAsNewCarriesOver100EventsThatNobodyHadWaitedFor() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("collects", true);
    IntStream.range(0, 50).forEach(number -> hub.client.raiseEvent(id, "number", number));
    hub.client.raiseEvent(id, "go");
    IntStream.range(50, 100).forEach(number -> hub.client.raiseEvent(id, "number", number));
    var seen = output(hub.ended(id), int[].class);
    // What it carries over, it carries over in no order.
    Arrays.sort(seen);
    assertArrayEquals(IntStream.range(0, 100).toArray(), seen);
  }
}
