"""The vocabulary every room shares: identifiers, units, YANG paths, errors. No I/O, no imports from other rooms."""
