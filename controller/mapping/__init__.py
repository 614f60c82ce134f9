"""From intent to L3SM to the network model to contributions per device profile."""
