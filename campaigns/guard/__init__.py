"""May we contact this customer now? Rules that only delay or forbid, checked at the decision and at sending.

Front doors: `check.check` (the verdict), `explain.explain` (the same for people), `book.PolicyBook` (whose rules
apply), `keywords.parse_opt_out` (stop words). To add a country, add `policies/<country>.yaml` with its sources.
"""
