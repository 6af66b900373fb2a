"""May we contact this customer now? Rules that only delay or forbid, checked at the decision and at sending.

Front doors: `check.check` (the verdict), `check.explain` (the same for people), `zones.zone_name`. To add a
country, add `policies/<country>.yaml` with its sources.
"""
