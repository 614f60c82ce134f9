"""Hypothesis profiles: `gate` is fixed and runs everywhere; `hunt` is random (HYPOTHESIS_PROFILE=hunt)."""

import os

from hypothesis import HealthCheck, settings

_QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("gate", derandomize=True, max_examples=200, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("hunt", max_examples=5000, deadline=None, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))
