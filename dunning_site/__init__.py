"""Wiring only: settings, urls, schedules, the admin site, embedded services."""
