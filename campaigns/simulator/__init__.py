"""What a ladder would do, played on a virtual calendar by the engine's own decisions; nothing is written or sent.

Front doors: `run.simulate` (lives in, events and figures out), `receivables.lives` and `open_cases.lives` (whom to
play), `ladders.find` (which ladder), `compare.compare` (two versions side by side). docs/simulator.md tells what is
assumed.
"""
