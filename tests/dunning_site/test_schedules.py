"""Schedules are declared in code, kept where operators changed them, and name tasks that exist."""

from importlib import import_module

import pytest
from django.contrib.auth.models import Group
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from dunning_site.celery import app
from dunning_site.schedules import SCHEDULES, Schedule, schedules_sync


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.task)
def test_every_schedule_names_a_task_that_exists(schedule: Schedule) -> None:
    import_module(schedule.task.rpartition(".")[0])
    assert schedule.task in app.tasks


@pytest.mark.django_db
def test_an_operators_period_is_kept() -> None:
    schedules_sync()
    slow, _ = IntervalSchedule.objects.get_or_create(every=3600, period=IntervalSchedule.SECONDS)
    row = PeriodicTask.objects.get(name=SCHEDULES[0].name)
    row.interval, row.enabled = slow, False
    row.save()

    assert schedules_sync() == 0

    row.refresh_from_db()
    assert row.interval == slow
    assert row.enabled is False


@pytest.mark.django_db
def test_a_renamed_task_is_followed() -> None:
    schedules_sync()
    PeriodicTask.objects.filter(name=SCHEDULES[0].name).update(task="gone.tasks.old")
    schedules_sync()
    assert PeriodicTask.objects.get(name=SCHEDULES[0].name).task == SCHEDULES[0].task


@pytest.mark.django_db
def test_a_migrated_database_has_schedules_and_roles() -> None:
    """Nothing but `migrate` has run on this database."""
    assert PeriodicTask.objects.filter(name__in=[s.name for s in SCHEDULES]).count() == len(SCHEDULES)
    assert set(Group.objects.values_list("name", flat=True)) == {"admin", "auditor", "collector", "manager", "senior"}
