package interop;

import com.microsoft.durabletask.TaskFailedException;
import com.microsoft.durabletask.TaskOrchestrationContext;
import java.util.List;

/** A worker of Maven's SDK among those of other languages, for `test_mixed_languages.py`: it asks for what it has, and no more. */
final class MixedWorker {
  private MixedWorker() {}

  public static void main(String[] arguments) throws InterruptedException {
    var worker = new Worker();
    worker.activity("java_greet", ctx -> "java greets " + ctx.getInput(String.class));
    worker.activity(
        "java_breaks",
        ctx -> {
          throw new IllegalStateException("java breaks " + ctx.getInput(String.class));
        });
    worker.orchestrator("java_child", MixedWorker::child);
    worker.orchestrator("java_visits", MixedWorker::visits);
    var connection = Channels.to(System.getenv("DURABLETASK_ADDRESS"));
    worker.start(Channels.into("default", connection, worker.filters()));
    Thread.currentThread().join();
  }

  private static void child(TaskOrchestrationContext ctx) {
    var greeting = ctx.callActivity("java_greet", ctx.getInput(String.class), String.class).await();
    ctx.complete(greeting + ", from " + ctx.getInstanceId());
  }

  private static void visits(TaskOrchestrationContext ctx) {
    var language = ctx.getInput(String.class);
    var greeting = ctx.callActivity(language + "_greet", "wörld", String.class).await();
    var told = ctx.callSubOrchestrator(language + "_child", "mum", ctx.getInstanceId() + "-child", String.class).await();

    try {
      ctx.callActivity(language + "_breaks", "it", String.class).await();
    } catch (TaskFailedException failed) {
      ctx.complete(List.of(greeting, told, failed.getErrorDetails().getErrorMessage()));
    }
  }
}
