"""Event types, the envelope and its hash chain, projections and upcasting."""
