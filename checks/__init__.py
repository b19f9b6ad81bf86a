"""Check types: one module each, named as in `rules.yaml`."""
