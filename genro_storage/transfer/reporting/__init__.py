"""Showing it while it goes on: what the events of a copy add up to."""
