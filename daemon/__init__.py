"""heald: checks, judges, heals within limits, remembers and explains."""

__version__ = "0.1.0"
