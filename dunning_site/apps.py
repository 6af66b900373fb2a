"""The app that wires the others together."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

# Loaded with the site, so that tasks called from web processes know their broker.
from dunning_site.celery import app as celery_app  # noqa: F401


class DunningSiteConfig(AppConfig):
    name = "dunning_site"
    verbose_name = "Sollecito"

    def ready(self) -> None:
        post_migrate.connect(_after_migrate, sender=self)


def _after_migrate(**kwargs: object) -> None:
    from dunning_site.schedules import schedules_sync

    schedules_sync()
