"""The app that wires the others together."""

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.db.models.signals import post_migrate

# Loaded with the site, so that tasks called from web processes know their broker.
from dunning_site.celery import app as celery_app  # noqa: F401


class DunningSiteConfig(AppConfig):
    name = "dunning_site"
    verbose_name = "Sollecito"

    def ready(self) -> None:
        post_migrate.connect(_after_migrate, sender=self)


def _after_migrate(*, apps: Apps = installed, **kwargs: object) -> None:
    # `flush` sends the signal too, without `apps`: every table is there then.
    migrated = {model._meta.app_label for model in apps.get_models()}
    if not {"auth", "customers", "billing", "campaigns", "portal", "djstripe", "django_celery_beat"} <= migrated:
        return  # one app was migrated by itself; the tables of the others are not there yet
    from dunning_site.roles import roles_sync
    from dunning_site.schedules import schedules_sync

    schedules_sync()
    roles_sync()
