"""CLI driver over `netmiko`, with its device types as they are shipped."""
