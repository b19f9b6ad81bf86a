"""Clients that checks, managers and remediations share: one module for each kind."""
