package interop;

import com.microsoft.durabletask.DurableTaskGrpcWorkerBuilder;
import com.microsoft.durabletask.TaskActivity;
import com.microsoft.durabletask.TaskActivityFactory;
import com.microsoft.durabletask.TaskOrchestration;
import com.microsoft.durabletask.TaskOrchestrationFactory;
import io.grpc.Channel;
import java.util.ArrayList;
import java.util.List;

/** A worker of the SDK, with what it can do under names of ours. It works in a thread of its own until it is closed. */
final class Worker implements AutoCloseable {
  private final DurableTaskGrpcWorkerBuilder builder = new DurableTaskGrpcWorkerBuilder();
  private final List<String> orchestrators = new ArrayList<>();
  private final List<String> activities = new ArrayList<>();
  private Thread thread;

  Worker orchestrator(String name, TaskOrchestration code) {
    orchestrators.add(name);
    builder.addOrchestration(
        new TaskOrchestrationFactory() {
          @Override
          public String getName() {
            return name;
          }

          @Override
          public TaskOrchestration create() {
            return code;
          }
        });

    return this;
  }

  Worker activity(String name, TaskActivity code) {
    activities.add(name);
    builder.addActivity(
        new TaskActivityFactory() {
          @Override
          public String getName() {
            return name;
          }

          @Override
          public TaskActivity create() {
            return code;
          }
        });

    return this;
  }

  /** What only asks for the work that this worker can do. */
  WorkItemFilters filters() {
    return new WorkItemFilters(orchestrators, activities);
  }

  Worker start(Channel channel) {
    // Its own `start` makes a thread that nobody can end.
    thread = new Thread(builder.grpcChannel(channel).build()::startAndBlock, "worker");
    thread.setDaemon(true);
    thread.start();

    return this;
  }

  @Override
  public void close() throws InterruptedException {
    if (thread != null) {
      thread.interrupt();
      thread.join(5_000);
    }
  }
}
