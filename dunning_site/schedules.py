"""When each loop ticks. Written to celery-beat's tables by name; what operators change there is kept."""

from dataclasses import dataclass

from django_celery_beat.models import IntervalSchedule, PeriodicTask


@dataclass(frozen=True, slots=True)
class Schedule:
    """One loop: the task and its period in seconds. Work that arrives wakes its loop at once; the tick is
    what finds it when the wake-up was lost."""

    name: str
    task: str
    seconds: int


SCHEDULES = (
    Schedule("Ingest: process the inbox", "billing.tasks.process_inbox", 10),
    Schedule("Ingest: bring the Stripe mirror up to date", "billing.tasks.mirror_inbox", 60),
    Schedule("Retry: plan", "billing.tasks.plan_retries", 15),
    Schedule("Plans: charge instalments", "billing.tasks.plan_instalments", 60),
    Schedule("Retry: charge what is due", "billing.tasks.charge_due", 15),
    Schedule("Retry: resolve unknown outcomes", "billing.tasks.resolve_unknown", 60),
    Schedule("Retry: compare, demote and fit models", "billing.tasks.review_models", 604_800),
    Schedule("Processor: carry out orders", "billing.tasks.run_commands", 30),
    Schedule("Export: write long lists", "customers.tasks.run_exports", 15),
    Schedule("Export: drop files kept long enough", "customers.tasks.tidy_exports", 86_400),
    Schedule("Import: read and write files", "billing.tasks.run_imports", 15),
    Schedule("Import: drop files kept long enough", "billing.tasks.tidy_imports", 86_400),
    Schedule("Escalate: assess customers", "campaigns.tasks.assess_customers", 15),
    Schedule("Escalate: take due steps", "campaigns.tasks.escalate_due", 30),
    Schedule("Deliver: send what is queued", "campaigns.tasks.deliver_due", 15),
    Schedule("Deliver: sweep stuck messages", "campaigns.tasks.sweep_messages", 60),
    Schedule("Worklist: rank what changed", "campaigns.tasks.refresh_work", 5),
    Schedule("Worklist: count what talks brought", "campaigns.tasks.count_chances", 86_400),
    Schedule("Simulate: play what staff asked for", "campaigns.tasks.run_simulations", 15),
    Schedule("Agencies: count what came in", "campaigns.tasks.follow_handovers", 60),
    Schedule("Bulk acts: carry out what staff confirmed", "customers.tasks.run_bulk_jobs", 15),
    Schedule("Bulk acts: drop what nobody confirmed", "customers.tasks.tidy_bulk_drafts", 86_400),
    Schedule("Endpoints: find what is to be told", "integrations.tasks.gather_events", 10),
    Schedule("Endpoints: tell what is due", "integrations.tasks.deliver_events", 15),
    Schedule("Endpoints: drop what was told long ago", "integrations.tasks.tidy_up", 86_400),
    Schedule("Risk: score customers and their open invoices", "insights.tasks.refresh_risk", 3_600),
    Schedule("Risk: fit the model anew", "insights.tasks.fit_risk", 604_800),
    Schedule("Portal: send the links that were asked for", "portal.tasks.send_requested_links", 30),
    Schedule("Portal: drop old links and counters", "portal.tasks.tidy_up", 86_400),
)


def schedules_sync() -> int:
    """Creates the missing ones; returns how many. Period and switch of existing ones are the operator's."""
    created = 0
    for schedule in SCHEDULES:
        interval, _ = IntervalSchedule.objects.get_or_create(every=schedule.seconds, period=IntervalSchedule.SECONDS)
        _, new = PeriodicTask.objects.get_or_create(
            name=schedule.name, defaults={"task": schedule.task, "interval": interval}
        )
        created += new
        # A task that was renamed in code would otherwise tick into the void.
        PeriodicTask.objects.filter(name=schedule.name).exclude(task=schedule.task).update(task=schedule.task)
    return created
