"""Recovery within one domain: states, remedies, scores, the record. Pure; `runtime.recovery` drives it."""
