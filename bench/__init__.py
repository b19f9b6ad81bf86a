"""Benchmarks: what heald costs, alone and beside its peers. `make bench` runs all of them."""
