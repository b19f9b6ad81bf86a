"""Scenarios: what operators write to test their rules, and what came of it."""
