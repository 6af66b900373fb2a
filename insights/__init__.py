"""Figures: the dashboard and the KPIs behind it."""
