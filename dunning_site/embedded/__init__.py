"""Stand-ins for outside services, run on this machine for laptop, demo and tests."""
