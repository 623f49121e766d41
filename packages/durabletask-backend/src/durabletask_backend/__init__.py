"""The storage contract of the Durable Task engine, and the conformance suite every backend passes."""
