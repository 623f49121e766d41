"""The client for threads: how its calls are made, and its methods by subject."""
