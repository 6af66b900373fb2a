"""Payment plans: what may be offered, agreeing on one, charging its instalments, and what payments make of it."""
