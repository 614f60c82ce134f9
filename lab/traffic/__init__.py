"""Test traffic: numbered, timestamped packets between customers' hosts, and what became of them."""
