"""RESTCONF driver (RFC 8040, RFC 8072) over `requests`."""

from drivers.restconf.connector import RestconfConnector
from drivers.restconf.errors import EntityTagMismatchError
from drivers.restconf.session import RestconfSession

__all__ = ["EntityTagMismatchError", "RestconfConnector", "RestconfSession"]
