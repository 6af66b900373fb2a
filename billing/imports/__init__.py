"""Receivables out of files: `presets` read rows, `receivables` writes them, `resource` is the door."""
