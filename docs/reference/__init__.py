"""Writes docs/schedulers.md and its figures from the registry."""
