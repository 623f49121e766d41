"""The Durable Task sidecar protocol: the .proto and its generated, typed Python code."""
