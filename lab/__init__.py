"""Emulated routers that behave like routers: the independent witness, which knows nothing of controller or drivers."""
