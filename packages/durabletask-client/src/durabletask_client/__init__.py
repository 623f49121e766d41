"""A thin gRPC client, sync and async, that drives a Durable Task hub."""
