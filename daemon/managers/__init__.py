"""Who runs a service: one module each."""
