"""Three ways into a device (NETCONF, RESTCONF, CLI) behind the `DeviceSession` port; sees only ports and model."""
