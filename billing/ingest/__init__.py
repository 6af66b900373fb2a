"""How what happened outside becomes facts: inbox → process → facts, and the mirror, back-fill and state dump."""
