"""Customers described by a query: its language, its fields, and who answers to it. Front door: evaluate."""
