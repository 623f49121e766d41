package interop;

import io.grpc.Channel;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.util.List;

/** Ways to the server under test. */
final class Channels {
  private static final Metadata.Key<String> HUB = Metadata.Key.of("taskhub", Metadata.ASCII_STRING_MARSHALLER);

  private Channels() {}

  /** A connection to a server, at `host:port`. */
  static ManagedChannel to(String address) {
    return ManagedChannelBuilder.forTarget(address).usePlaintext().maxInboundMessageSize(16 * 1024 * 1024).build();
  }

  /** The same connection, whose calls are for one task hub of the server, through interceptors of the caller's. */
  static Channel into(String hub, Channel channel, ClientInterceptor... interceptors) {
    var headers = new Metadata();
    headers.put(HUB, hub);
    var inHub = ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers));

    return ClientInterceptors.intercept(inHub, List.of(interceptors));
  }
}
