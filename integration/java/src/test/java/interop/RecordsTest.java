package interop;

import static interop.Hub.output;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.durabletask.NewOrchestrationInstanceOptions;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.OrchestrationStatusQuery;
import com.microsoft.durabletask.PurgeInstanceCriteria;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a hub keeps of its orchestrations: queries, purges, versions, starts for later, ids used again. Each test has its own hub. */
class RecordsTest {
  private final Hub hub = new Hub();

  @BeforeEach
  void start() {
    hub.worker.orchestrator("echo", ctx -> ctx.complete(ctx.getInput(String.class)));
    hub.worker.orchestrator("fails", ctx -> { throw new IllegalStateException("on purpose"); });
    hub.worker.orchestrator("waits", ctx -> ctx.complete(ctx.waitForExternalEvent("go", String.class).await()));
    hub.worker.orchestrator("parent", ctx -> ctx.complete(ctx.callSubOrchestrator("echo", "child", ctx.getInput(String.class), String.class).await()));
    hub.start();
  }

  @AfterEach
  void stop() throws InterruptedException {
    hub.close();
  }

  private List<String> ids(OrchestrationStatusQuery query) {
    return hub.client.queryInstances(query).getOrchestrationState().stream().map(OrchestrationMetadata::getInstanceId).sorted().toList();
  }

  @Test
  void queryFindsByStatus() throws Exception {
    var good = hub.run("echo", "x").getInstanceId();
    var bad = hub.run("fails", "x").getInstanceId();
    var running = hub.client.scheduleNewOrchestrationInstance("waits");
    hub.reaches(running, OrchestrationRuntimeStatus.RUNNING);
    assertEquals(List.of(bad), ids(new OrchestrationStatusQuery().setRuntimeStatusList(List.of(OrchestrationRuntimeStatus.FAILED))));
    assertEquals(
        List.of(good, running).stream().sorted().toList(),
        ids(new OrchestrationStatusQuery().setRuntimeStatusList(List.of(OrchestrationRuntimeStatus.COMPLETED, OrchestrationRuntimeStatus.RUNNING))));
  }

  @Test
  void queryFindsByTheTimeOfTheirCreation() throws Exception {
    var first = hub.run("echo", "x");
    Hub.until("the clock goes on", () -> Instant.now().isAfter(first.getCreatedAt().plusMillis(5)));
    var between = Instant.now();
    Hub.until("the clock goes on", () -> Instant.now().isAfter(between.plusMillis(5)));
    var second = hub.run("echo", "x").getInstanceId();
    assertEquals(List.of(first.getInstanceId()), ids(new OrchestrationStatusQuery().setCreatedTimeTo(between)));
    assertEquals(List.of(second), ids(new OrchestrationStatusQuery().setCreatedTimeFrom(between)));
  }

  @Test
  void queryByPrefixFindsEachOnceOverSeveralPages() throws Exception {
    var wanted = IntStream.range(0, 7).mapToObj(n -> hub.client.scheduleNewOrchestrationInstance("echo", "x", "wanted-" + n)).toList();
    hub.client.scheduleNewOrchestrationInstance("echo", "x", "other");

    for (var id : wanted) {
      hub.ended(id);
    }

    List<String> found = new ArrayList<>();
    var query = new OrchestrationStatusQuery().setInstanceIdPrefix("wanted-").setMaxInstanceCount(3);
    int pages = 0;

    for (String token = null; pages == 0 || token != null && !token.isEmpty(); pages++) {
      var page = hub.client.queryInstances(query.setContinuationToken(token));
      page.getOrchestrationState().forEach(state -> found.add(state.getInstanceId()));
      token = page.getContinuationToken();
    }

    assertEquals(wanted, found.stream().sorted().toList());
    assertTrue(pages >= 3, () -> "all in fewer pages than that: " + found);
  }

  @Test
  void queryBringsPayloadsOnlyWhereTheyAreAskedFor() throws Exception {
    hub.run("echo", "päyload");
    var without = hub.client.queryInstances(new OrchestrationStatusQuery()).getOrchestrationState().get(0);
    var with = hub.client.queryInstances(new OrchestrationStatusQuery().setFetchInputsAndOutputs(true)).getOrchestrationState().get(0);
    assertTrue(without.getSerializedInput() == null || without.getSerializedInput().isEmpty());
    assertEquals("päyload", with.readInputAs(String.class));
    assertEquals("päyload", with.readOutputAs(String.class));
  }

  @Test
  void queryForAnUnknownIdFindsNothing() {
    assertFalse(hub.client.getInstanceMetadata("nobody", true).isInstanceFound());
  }

  @Test
  void purgeOfOneTakesIt() throws Exception {
    var id = hub.run("echo", "x").getInstanceId();
    assertEquals(1, hub.client.purgeInstance(id).getDeletedInstanceCount());
    assertFalse(hub.client.getInstanceMetadata(id, false).isInstanceFound());
    assertEquals(0, hub.client.purgeInstance(id).getDeletedInstanceCount());
  }

  @Test
  void purgeOfOneThatRunsLeavesIt() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("waits");
    hub.reaches(id, OrchestrationRuntimeStatus.RUNNING);
    assertEquals(0, hub.client.purgeInstance(id).getDeletedInstanceCount());
    hub.client.raiseEvent(id, "go", "on");
    assertEquals("on", output(hub.ended(id), String.class));
  }

  @Test
  void purgeByStatusAndTimeLeavesTheRest() throws Exception {
    var before = Instant.now().minusSeconds(1);
    var good = hub.run("echo", "x").getInstanceId();
    var bad = hub.run("fails", "x").getInstanceId();
    var criteria = new PurgeInstanceCriteria().setCreatedTimeFrom(before).setRuntimeStatusList(List.of(OrchestrationRuntimeStatus.FAILED));
    assertEquals(1, hub.client.purgeInstances(criteria).getDeletedInstanceCount());
    assertFalse(hub.client.getInstanceMetadata(bad, false).isInstanceFound());
    assertTrue(hub.client.getInstanceMetadata(good, false).isInstanceFound());
  }

  @Test
  void purgeLeavesTheChildren() throws Exception {
    var childId = "child-" + UUID.randomUUID();
    var id = hub.run("parent", childId).getInstanceId();
    assertEquals(1, hub.client.purgeInstance(id).getDeletedInstanceCount());
    assertEquals(OrchestrationRuntimeStatus.COMPLETED, hub.status(childId));
  }

  @Test
  void versionIsKeptWithTheInstance() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("echo", new NewOrchestrationInstanceOptions().setVersion("1.2.3").setInput("x"));
    hub.ended(id);
    assertEquals("1.2.3", hub.record(id).getVersion().getValue());
  }

  @Test
  void versionThatIsNotSaidIsNone() throws Exception {
    var id = hub.run("echo", "x").getInstanceId();
    assertFalse(hub.record(id).hasVersion());
  }

  @Test
  void startForLaterWaitsUntilItIsDue() throws Exception {
    var due = Instant.now().plus(Duration.ofMillis(700));
    var id = hub.client.scheduleNewOrchestrationInstance("echo", new NewOrchestrationInstanceOptions().setStartTime(due).setInput("x"));
    assertEquals(OrchestrationRuntimeStatus.PENDING, hub.status(id));
    var state = hub.ended(id);
    assertEquals("x", output(state, String.class));
    assertFalse(state.getLastUpdatedAt().isBefore(due));
  }

  @Test
  void idThatIsTakenIsRefused() throws Exception {
    var id = hub.client.scheduleNewOrchestrationInstance("waits");
    hub.reaches(id, OrchestrationRuntimeStatus.RUNNING);
    var refused = assertThrows(StatusRuntimeException.class, () -> hub.client.scheduleNewOrchestrationInstance("echo", "x", id));
    assertEquals(Status.Code.ALREADY_EXISTS, refused.getStatus().getCode());
  }

  @Test
  void restartUnderTheSameIdAndUnderANewOne() throws Exception {
    var id = hub.run("echo", "again").getInstanceId();
    assertEquals(id, hub.client.restartInstance(id, false));
    assertEquals("again", output(hub.ended(id), String.class));
    var other = hub.client.restartInstance(id, true);
    assertNotEquals(id, other);
    assertEquals("again", output(hub.ended(other), String.class));
  }

  @Test
  void hubThatIsMadeAnewIsEmpty() throws Exception {
    var id = hub.run("echo", "x").getInstanceId();
    hub.client.createTaskHub(false);
    assertTrue(hub.client.getInstanceMetadata(id, false).isInstanceFound());
    hub.client.createTaskHub(true);
    assertFalse(hub.client.getInstanceMetadata(id, false).isInstanceFound());
    assertEquals(List.of(), ids(new OrchestrationStatusQuery()));
  }
}
