"""One emulated router: datastores, protocol servers, operational state. Nothing here imports controller or drivers."""
