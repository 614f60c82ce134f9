"""I/O out: the event log in SQLite, the clock, secrets, schemas from files."""
