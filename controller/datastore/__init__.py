"""YANG trees as flat mappings: schema, contributions, resolution, diff, edit, encodings."""
