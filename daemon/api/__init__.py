"""The control socket, metrics and health pages."""
