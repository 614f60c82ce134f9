"""CLI driver over `netmiko`, with its device types as they are shipped."""

from drivers.cli.session import CliConnector, CliSession, ConfigurationMovedError

__all__ = ["CliConnector", "CliSession", "ConfigurationMovedError"]
