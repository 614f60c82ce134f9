"""Owns NETCONF (RFC 6241, 6242, 5277): ncclient's protocol layer over asyncssh, every device on one event loop."""

from drivers.netconf.connector import NetconfConnector

__all__ = ["NetconfConnector"]
