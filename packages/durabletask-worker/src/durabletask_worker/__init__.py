"""The Durable Task SDK: hosts Python orchestrators and activities."""
