"""The Celery application; tasks live in each app's tasks module, schedules in dunning_site.schedules."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dunning_site.settings")

app = Celery("sollecito")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
