package interop;

import static interop.Hub.output;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.durabletask.CompositeTaskFailedException;
import com.microsoft.durabletask.FailureDetails;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.RetryPolicy;
import com.microsoft.durabletask.TaskFailedException;
import com.microsoft.durabletask.TaskOptions;
import com.microsoft.durabletask.TaskOrchestrationContext;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What fails, how it is told, and what is tried again. */
class FailuresTest {
  private static final Hub hub = new Hub();

  /** How often activities and children have run, by what they were given. */
  private static final Map<String, Integer> attempts = new ConcurrentHashMap<>();

  @BeforeAll
  static void start() {
    hub.worker.activity(
        "breaks",
        ctx -> {
          throw new IllegalStateException("brøken", new ArithmeticException("deep down"));
        });
    hub.worker.activity("worksAtLast", ctx -> attempt(ctx.getInput(String.class), 3));
    hub.worker.activity("neverWorks", ctx -> attempt(ctx.getInput(String.class), 1_000));
    hub.worker.orchestrator("fails", ctx -> ctx.callActivity("breaks").await());
    hub.worker.orchestrator("catches", FailuresTest::catches);
    hub.worker.orchestrator("failsItself", FailuresTest::failsItself);
    hub.worker.orchestrator("parent", ctx -> ctx.callSubOrchestrator("failsItself", null, String.class).await());
    hub.worker.orchestrator("callsUnknown", ctx -> ctx.callActivity("nobodyKnowsIt").await());
    hub.worker.orchestrator("oneOfThree", FailuresTest::oneOfThree);
    hub.worker.orchestrator("retries", FailuresTest::retries);
    hub.worker.orchestrator("retriesInVain", FailuresTest::retriesInVain);
    hub.worker.orchestrator("retriesByHandler", FailuresTest::retriesByHandler);
    hub.worker.orchestrator("child", ctx -> ctx.complete(attempt(ctx.getInput(String.class), 2)));
    hub.worker.orchestrator("retriesChild", FailuresTest::retriesChild);
    hub.start();
  }

  @AfterAll
  static void stop() throws InterruptedException {
    hub.close();
  }

  private static int attempt(String key, int good) {
    int number = attempts.merge(key, 1, Integer::sum);

    if (number < good) {
      throw new IllegalStateException("attempt " + number);
    }

    return number;
  }

  private static FailureDetails failure(OrchestrationMetadata state) {
    assertEquals(OrchestrationRuntimeStatus.FAILED, state.getRuntimeStatus());
    assertNotNull(state.getFailureDetails());

    return state.getFailureDetails();
  }

  private static void catches(TaskOrchestrationContext ctx) {
    try {
      ctx.callActivity("breaks").await();
    } catch (TaskFailedException failed) {
      var details = failed.getErrorDetails();
      ctx.complete(List.of(failed.getTaskName(), details.getErrorType(), details.getErrorMessage()));
    }
  }

  @Test
  void failureOfAnActivityIsCaughtWithItsTypeAndMessage() throws Exception {
    var told = output(hub.run("catches", null), String[].class);
    assertEquals(List.of("breaks", "java.lang.IllegalStateException", "brøken"), List.of(told));
  }

  @Test
  void failureOfAnActivityFailsAnOrchestrationThatDoesNotCatchIt() throws Exception {
    var details = failure(hub.run("fails", null));
    assertEquals(TaskFailedException.class.getName(), details.getErrorType());
    assertTrue(details.isCausedBy(TaskFailedException.class));
    assertTrue(details.getErrorMessage().contains("brøken"), details.getErrorMessage());
  }

  private static void failsItself(TaskOrchestrationContext ctx) {
    throw new IllegalArgumentException("outer", new IllegalStateException("middle", new ArithmeticException("deep down")));
  }

  @Test
  void failureHasTheStackTraceOfTheCodeThatThrew() throws Exception {
    var details = failure(hub.run("failsItself", null));
    assertEquals("outer", details.getErrorMessage());
    var trace = details.getStackTrace();
    assertTrue(trace.contains("FailuresTest.failsItself"), trace);
  }

  @Test
  void failureOfASubOrchestrationFailsItsParent() throws Exception {
    var details = failure(hub.run("parent", null));
    assertTrue(details.getErrorMessage().contains("outer"), details.getErrorMessage());
  }

  @Test
  void failureOfAnActivityThatNobodyKnowsNamesIt() throws Exception {
    var message = failure(hub.run("callsUnknown", null)).getErrorMessage();
    assertTrue(message.contains("nobodyKnowsIt"), message);
  }

  @Test
  void failureOfAnOrchestrationThatNobodyKnows() throws Exception {
    // Its name is not in it: what the SDK tells is the exception that it stumbled over.
    assertEquals("java.lang.NullPointerException", failure(hub.run("nobodyKnowsMe", null)).getErrorType());
  }

  private static void oneOfThree(TaskOrchestrationContext ctx) {
    var key = ctx.getInstanceId();
    attempts.put(key, 2);

    try {
      ctx.allOf(ctx.callActivity("worksAtLast", key, Integer.class), ctx.callActivity("breaks", Integer.class)).await();
    } catch (CompositeTaskFailedException failed) {
      ctx.complete(failed.getExceptions().size());
    }
  }

  @Test
  void failureOfOneInAFanOutIsTold() throws Exception {
    assertEquals(1, output(hub.run("oneOfThree", null), int.class));
  }

  private static TaskOptions times(int attempts) {
    return new TaskOptions(new RetryPolicy(attempts, Duration.ofMillis(50)).setBackoffCoefficient(1.5));
  }

  private static void retries(TaskOrchestrationContext ctx) {
    ctx.complete(ctx.callActivity("worksAtLast", ctx.getInstanceId(), times(5), Integer.class).await());
  }

  @Test
  void retryUntilItWorks() throws Exception {
    assertEquals(3, output(hub.run("retries", null), int.class));
  }

  private static void retriesInVain(TaskOrchestrationContext ctx) {
    ctx.callActivity("neverWorks", ctx.getInstanceId(), times(3)).await();
  }

  @Test
  void retryAsOftenAsThePolicySaysAndNotOnceMore() throws Exception {
    var state = hub.run("retriesInVain", null);
    assertTrue(failure(state).getErrorMessage().contains("attempt 3"), failure(state).getErrorMessage());
    assertEquals(3, attempts.get(state.getInstanceId()));
  }

  private static void retriesByHandler(TaskOrchestrationContext ctx) {
    var options = new TaskOptions(retry -> retry.getLastFailure().isCausedBy(IllegalStateException.class) && retry.getLastAttemptNumber() < 4);
    ctx.callActivity("neverWorks", ctx.getInstanceId(), options).await();
  }

  @Test
  void retryByAHandlerOfOurs() throws Exception {
    var state = hub.run("retriesByHandler", null);
    assertEquals(OrchestrationRuntimeStatus.FAILED, state.getRuntimeStatus());
    assertEquals(4, attempts.get(state.getInstanceId()));
  }

  private static void retriesChild(TaskOrchestrationContext ctx) {
    var childId = ctx.getInstanceId() + "-child";
    ctx.complete(ctx.callSubOrchestrator("child", childId, childId, times(3), Integer.class).await());
  }

  @Test
  void retryOfASubOrchestrationUnderItsId() throws Exception {
    var id = "retries-" + UUID.randomUUID();
    hub.client.scheduleNewOrchestrationInstance("retriesChild", null, id);
    assertEquals(2, output(hub.ended(id), int.class));
    assertEquals(OrchestrationRuntimeStatus.COMPLETED, hub.status(id + "-child"));
  }
}
