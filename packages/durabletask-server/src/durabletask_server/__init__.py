"""The Durable Task engine, its gRPC sidecar and its command line."""
