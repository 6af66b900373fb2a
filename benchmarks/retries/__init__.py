"""Measures retry strategies against issuers that are simulated; see docs/retries.md."""
