"""I/O in: RESTCONF, the JSON API, the event feed, metrics, authentication."""
