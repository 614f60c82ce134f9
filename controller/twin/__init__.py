"""The digital twin: what the network would do with a configuration, worked out from that configuration alone."""
