"""The thin layer that carries: scheduler, pipeline, executor."""
