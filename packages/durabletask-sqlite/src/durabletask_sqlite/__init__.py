"""The default, embedded SQLite backend of the Durable Task engine."""
