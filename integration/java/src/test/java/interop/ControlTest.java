package interop;

import static interop.Hub.output;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.TaskOrchestrationContext;
import java.time.Duration;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a client does to an orchestration that runs: terminate it, suspend it, resume it, lose its patience with it. */
class ControlTest {
  private static final Hub hub = new Hub();

  @BeforeAll
  static void start() {
    hub.worker.orchestrator("waits", ctx -> ctx.complete(ctx.waitForExternalEvent("go", String.class).await()));
    hub.worker.orchestrator("adds", ControlTest::adds);
    hub.worker.orchestrator("quick", ctx -> ctx.complete(1));
    hub.worker.orchestrator("parent", ctx -> ctx.callSubOrchestrator("waits", null, ctx.getInput(String.class), String.class).await());
    hub.start();
  }

  @AfterAll
  static void stop() throws InterruptedException {
    hub.close();
  }

  private static String running() throws InterruptedException {
    var id = hub.client.scheduleNewOrchestrationInstance("waits");
    hub.reaches(id, OrchestrationRuntimeStatus.RUNNING);

    return id;
  }

  @Test
  void terminateEndsWithTheOutputThatItWasGiven() throws Exception {
    var id = running();
    hub.client.terminate(id, "enøugh");
    var state = hub.ended(id);
    assertEquals(OrchestrationRuntimeStatus.TERMINATED, state.getRuntimeStatus());
    assertEquals("enøugh", state.readOutputAs(String.class));
  }

  @Test
  void terminateChangesNothingOfWhatHasEnded() throws Exception {
    var id = hub.run("quick", null).getInstanceId();
    hub.client.terminate(id, "too late");
    assertEquals(1, output(hub.ended(id), int.class));
  }

  @Test
  void terminateOfAParentLeavesItsChildAlone() throws Exception {
    var childId = "child-" + System.nanoTime();
    var id = hub.client.scheduleNewOrchestrationInstance("parent", childId);
    hub.reaches(childId, OrchestrationRuntimeStatus.RUNNING);
    hub.client.terminate(id, null);
    assertEquals(OrchestrationRuntimeStatus.TERMINATED, hub.ended(id).getRuntimeStatus());
    hub.client.raiseEvent(childId, "go", "on");
    assertEquals("on", output(hub.ended(childId), String.class));
  }

  private static void adds(TaskOrchestrationContext ctx) {
    int first = ctx.waitForExternalEvent("number", Integer.class).await();
    ctx.setCustomStatus(first);
    ctx.complete(first + ctx.waitForExternalEvent("number", Integer.class).await());
  }

  @Test
  void suspendedOrchestrationDoesNothingUntilItIsResumed() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("adds");
    hub.reaches(id, OrchestrationRuntimeStatus.RUNNING);
    hub.client.suspendInstance(id, "a break");
    hub.reaches(id, OrchestrationRuntimeStatus.SUSPENDED);

    hub.client.raiseEvent(id, "number", 30);
    hub.client.raiseEvent(id, "number", 12);
    // Whatever was going to happen to it would have happened before all this.
    hub.run("quick", null);
    assertEquals(OrchestrationRuntimeStatus.SUSPENDED, hub.status(id));
    assertFalse(hub.client.getInstanceMetadata(id, true).isCustomStatusFetched());

    hub.client.resumeInstance(id);
    assertEquals(42, output(hub.ended(id), int.class));
  }

  @Test
  void suspendedTwiceIsAsSuspendedOnce() throws Exception {
    var id = running();
    hub.client.suspendInstance(id);
    hub.client.suspendInstance(id);
    hub.reaches(id, OrchestrationRuntimeStatus.SUSPENDED);
    hub.client.resumeInstance(id, "again");
    hub.reaches(id, OrchestrationRuntimeStatus.RUNNING);
    hub.client.raiseEvent(id, "go", "done");
    assertEquals("done", output(hub.ended(id), String.class));
  }

  @Test
  void suspendedOrchestrationCanBeTerminated() throws Exception {
    var id = running();
    hub.client.suspendInstance(id);
    hub.reaches(id, OrchestrationRuntimeStatus.SUSPENDED);
    hub.client.terminate(id, null);
    assertEquals(OrchestrationRuntimeStatus.TERMINATED, hub.ended(id).getRuntimeStatus());
  }

  @Test
  void waitThatTakesTooLongIsATimeoutException() throws Exception {
    var id = running();
    assertThrows(TimeoutException.class, () -> hub.client.waitForInstanceCompletion(id, Duration.ofMillis(300), false));
    hub.client.raiseEvent(id, "go", "on");
    assertEquals("on", output(hub.ended(id), String.class));
  }
}
