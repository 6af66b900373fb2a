"""May we contact this customer now? Rules that only delay or forbid, checked at the decision and at sending."""
