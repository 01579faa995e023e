"""Doing it: one file, many at a time, by other processes, again where a run was interrupted."""
