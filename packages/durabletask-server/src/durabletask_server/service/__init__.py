"""The gRPC face of the engine: `TaskHubSidecarService`. One module a group of RPCs; `rpc` is what they share."""
