"""Treatments compared on customers drawn by lot: assignment, exposure, results."""
