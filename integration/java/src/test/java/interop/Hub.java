package interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.DurableTaskGrpcClientBuilder;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.implementation.protobuf.OrchestratorService;
import com.microsoft.durabletask.implementation.protobuf.TaskHubSidecarServiceGrpc;
import com.microsoft.durabletask.implementation.protobuf.TaskHubSidecarServiceGrpc.TaskHubSidecarServiceBlockingStub;
import io.grpc.Channel;
import io.grpc.ManagedChannel;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;

/** A task hub of the server under test that nobody else uses, as the SDK sees it: a client, a worker, and the waiting that tests share. */
final class Hub implements AutoCloseable {
  static final Duration PATIENCE = Duration.ofSeconds(20);

  final Worker worker = new Worker();
  final DurableTaskClient client;

  /** The SDK's generated stub, for fields that its client does not show. */
  final TaskHubSidecarServiceBlockingStub stub;

  private final ManagedChannel connection;
  private final Channel channel;

  Hub() {
    connection = Channels.to(System.getenv().getOrDefault("DURABLETASK_ADDRESS", "localhost:4001"));
    channel = Channels.into("java-" + UUID.randomUUID(), connection);
    client = new DurableTaskGrpcClientBuilder().grpcChannel(channel).build();
    stub = TaskHubSidecarServiceGrpc.newBlockingStub(channel);
    client.createTaskHub(false);
  }

  Hub start() {
    worker.start(channel);

    return this;
  }

  @Override
  public void close() throws InterruptedException {
    worker.close();
    client.deleteTaskHub();
    client.close();
    connection.shutdownNow();
  }

  /** Start an orchestration, and wait until it has ended. */
  OrchestrationMetadata run(String name, Object input) throws TimeoutException {
    return ended(client.scheduleNewOrchestrationInstance(name, input));
  }

  OrchestrationMetadata ended(String id) throws TimeoutException {
    var state = client.waitForInstanceCompletion(id, PATIENCE, true);
    assertTrue(state.isInstanceFound(), () -> id + " does not exist");

    return state;
  }

  /** What a completed instance returned. */
  static <T> T output(OrchestrationMetadata state, Class<T> type) {
    var failure = state.getFailureDetails();
    assertEquals(
        OrchestrationRuntimeStatus.COMPLETED,
        state.getRuntimeStatus(),
        () -> failure == null ? "" : failure.getErrorType() + ": " + failure.getErrorMessage());

    return state.readOutputAs(type);
  }

  OrchestrationRuntimeStatus status(String id) {
    return client.getInstanceMetadata(id, false).getRuntimeStatus();
  }

  /** Wait until an instance, which has no other way to tell, has a status. */
  void reaches(String id, OrchestrationRuntimeStatus wanted) throws InterruptedException {
    until(id + " is " + wanted, () -> status(id) == wanted);
  }

  /** An instance as it is on the wire. */
  OrchestratorService.OrchestrationState record(String id) {
    var request = OrchestratorService.GetInstanceRequest.newBuilder().setInstanceId(id).setGetInputsAndOutputs(true);

    return stub.getInstance(request.build()).getOrchestrationState();
  }

  static void until(String what, BooleanSupplier probe) throws InterruptedException {
    var deadline = System.nanoTime() + PATIENCE.toNanos();

    while (!probe.getAsBoolean()) {
      assertTrue(System.nanoTime() < deadline, () -> "not within " + PATIENCE + ": " + what);
      Thread.sleep(20);
    }
  }
}
