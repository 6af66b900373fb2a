"""Deciding when, and whether, a failed charge is tried again; pure, importable without Django."""
