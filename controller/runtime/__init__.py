"""The loops: commands, device sessions, transactions. Async, and only through ports."""
