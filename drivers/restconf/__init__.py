"""RESTCONF driver (RFC 8040, RFC 8072) over `requests`."""
