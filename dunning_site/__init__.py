"""dunning_site."""
