"""The crash campaign: real daemons that die in every way, and services that count what was done to them."""
