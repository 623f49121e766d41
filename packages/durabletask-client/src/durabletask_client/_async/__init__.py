"""The client for asyncio: how its calls are made, and its methods by subject."""
