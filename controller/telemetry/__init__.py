"""Telemetry: samples and how far they can be trusted, forecasts with honest intervals."""
