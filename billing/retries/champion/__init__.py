"""Which strategy plans retries: models are fitted on the installation's own charges, tried by lot, and judged."""
