"""How long tests wait. An idle machine needs instants; a limit only ends a test that would wait for ever."""

PATIENCE_SECONDS = 120.0
"""For what takes an instant."""
SHORT_DEADLINE_SECONDS = 1.5
"""A deadline of the code that a test lets pass: what comes in time has to come in time on a busy machine too."""
