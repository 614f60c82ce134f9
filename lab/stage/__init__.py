"""Episodes on emulated routers: where controller and lab meet, in one process. Loaded by name."""
