"""Frozen values that the whole of heald shares: stdlib only, no I/O."""
