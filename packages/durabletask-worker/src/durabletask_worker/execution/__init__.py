"""The replay core: from past and new events to actions. It does no I/O and reads no clock."""
