"""What an operator sees of the engine: spans, metrics, logs, health."""
