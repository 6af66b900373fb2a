"""The app that wires the others together."""

from django.apps import AppConfig


class DunningSiteConfig(AppConfig):
    name = "dunning_site"
    verbose_name = "Sollecito"
