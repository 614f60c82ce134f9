"""Plans, the coordinator of the network-wide commit, its journal, the out-of-band policy."""
