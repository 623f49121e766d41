package interop;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import com.google.protobuf.UnknownFieldSet;
import com.google.protobuf.UnknownFieldSet.Field;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.MethodDescriptor;
import java.nio.charset.StandardCharsets;
import java.util.Collection;

/**
 * Asks for some work only, in the name of a worker whose SDK asks for all.
 *
 * <p>Version 1.5.0 does not know `GetWorkItemsRequest.workItemFilters`, so the field is written by its number, as protobuf keeps what it
 * does not know. A kind without names gets no work.
 */
final class WorkItemFilters implements ClientInterceptor {
  // GetWorkItemsRequest.workItemFilters; of it orchestrations and activities; of each of those the name.
  private static final int FILTERS = 11;
  private static final int ORCHESTRATIONS = 1;
  private static final int ACTIVITIES = 2;
  private static final int NAME = 1;

  private final UnknownFieldSet field;

  WorkItemFilters(Collection<String> orchestrations, Collection<String> activities) {
    var filters =
        UnknownFieldSet.newBuilder()
            .mergeField(ORCHESTRATIONS, named(orchestrations))
            .mergeField(ACTIVITIES, named(activities))
            .build();
    field = UnknownFieldSet.newBuilder().mergeField(FILTERS, bytes(filters.toByteString())).build();
  }

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    var call = next.newCall(method, options);

    if (!"GetWorkItems".equals(method.getBareMethodName())) {
      return call;
    }

    return new SimpleForwardingClientCall<>(call) {
      @Override
      @SuppressWarnings("unchecked") // A message with one more field is of the same class.
      public void sendMessage(Q request) {
        super.sendMessage((Q) ((Message) request).toBuilder().mergeUnknownFields(field).build());
      }
    };
  }

  private static Field named(Collection<String> names) {
    var all = Field.newBuilder();

    for (var name : names) {
      var text = bytes(ByteString.copyFrom(name, StandardCharsets.UTF_8));
      all.addLengthDelimited(UnknownFieldSet.newBuilder().mergeField(NAME, text).build().toByteString());
    }

    return all.build();
  }

  private static Field bytes(ByteString content) {
    return Field.newBuilder().addLengthDelimited(content).build();
  }
}
