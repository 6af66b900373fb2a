"""What the demo company's own staff do: set up an experiment, work their tasks, answer, post letters.

Every act goes through the service a page of the back office would call, under the log-in that may.
"""

from datetime import datetime, timedelta
from random import Random

from django.contrib.auth.models import User
from django.db.models import Sum

from billing.models import Invoice, InvoiceStatus
from campaigns.experiments.services import experiment_start
from campaigns.guard.zones import zone, zone_name
from campaigns.models import (
    Case,
    Experiment,
    ExperimentArm,
    ExperimentKind,
    Ladder,
    LadderVersion,
    Segment,
    SimulationRun,
    Task,
)
from campaigns.services.owners import case_assign
from campaigns.services.prints import print_batch_create, print_batch_pdf, print_batch_printed
from campaigns.services.promises import promise_record
from campaigns.services.rungs import rung_enable, rung_move, rung_save
from campaigns.services.simulations import simulation_start, simulations_run
from campaigns.services.tasks import task_complete
from campaigns.services.versions import ladder_draft, ladder_publish
from customers.errors import SollecitoError
from customers.models import CallOutcome
from dunning_site.demo.answers import PROMISES

#: Tasks one person gets done in a day; they take those that have waited since yesterday.
_PER_DAY = 6
_OPENS = 10


class Office:
    """The staff. They work on weekdays, once, at ten o'clock UTC."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._manager = User.objects.get(username="manager")
        self._collector = User.objects.get(username="collector")

    def work(self, now: datetime) -> int:
        """Does what is on today; returns how many things were done."""
        if now.hour != _OPENS or now.weekday() > 4:
            return 0
        done = self._tasks(now)
        if now.weekday() == 0:
            done += self._letters(now)
        return done

    def set_up(self) -> None:
        """What the manager has arranged before the sixty days begin."""
        now, manager = self._start, self._manager.pk
        cards = ladder_draft(ladder_id=Ladder.objects.get(code="card_failed").pk)
        text = cards.steps.get(key="text")
        text.name, text.offset = "Five days: a text message", 5
        rung_enable(step_id=rung_save(step=text).pk, enabled=True)
        rung_move(step_id=text.pk, to=3)
        ladder_publish(version_id=cards.pk, actor_id=manager, now=now, note="A text message on the fifth day.")
        terms = ladder_draft(ladder_id=Ladder.objects.get(code="invoice_overdue").pk)
        paper = terms.steps.get(key="second")
        paper.name, paper.channel, paper.fallback_channels = "Second reminder, by letter", "letter", ["email"]
        rung_save(step=paper)
        ladder_publish(version_id=terms.pk, actor_id=manager, now=now, note="Paper is read where mail is not.")
        slow = Segment(
            code="net_terms_italy",
            name="Italian companies, overdue",
            description="Whom Giulia calls on Thursdays.",
            query='kind = "business" and country = "IT" and overdue_invoices > 0',
        )
        slow.full_clean()
        slow.save()
        hours = Experiment.objects.create(
            code="mornings",
            name="Mornings or as it comes?",
            question="Mails read at the desk get paid. If mornings win by five points, all ladders send then.",
            kind=ExperimentKind.SEND_TIME,
            ladder=cards.ladder,
        )
        ExperimentArm.objects.create(experiment=hours, position=1, name="As ever", share=50)
        ExperimentArm.objects.create(
            experiment=hours, position=2, name="Mornings", share=50, send_from="08:30", send_to="11:00"
        )
        experiment_start(experiment_id=hours.pk, actor_id=manager, now=now)
        silence = Experiment.objects.create(
            code="companies_unwritten",
            name="What does writing to companies add?",
            question="One in eight hears nothing from us; charges are retried all the same.",
            kind=ExperimentKind.LADDER,
            ladder=Ladder.objects.get(code="card_failed_b2b"),
        )
        ExperimentArm.objects.create(experiment=silence, position=1, name="The ladder", share=88)
        ExperimentArm.objects.create(experiment=silence, position=2, name="No contact", share=12, holdout=True)
        experiment_start(experiment_id=silence.pk, actor_id=manager, now=now)

    def look_ahead(self, now: datetime) -> None:
        """The manager compares the ladder in use with the one before it, on the cases open at `now`."""
        versions = LadderVersion.objects.filter(ladder__code="card_failed").order_by("-number")
        live, before = versions[0], versions[1]
        simulation_start(
            version_id=live.pk,
            other_version_id=before.pk,
            source=SimulationRun.Source.OPEN_CASES,
            now=now,
            actor_id=self._manager.pk,
        )
        simulations_run(now=now)

    def _tasks(self, now: datetime) -> int:
        waiting = Task.objects.filter(status=Task.Status.OPEN, due_at__lte=now - timedelta(days=1))
        tasks = list(waiting.order_by("due_at", "id").select_related("case", "customer__brand")[:_PER_DAY])
        for task in tasks:
            rng = Random(f"office/{task.customer_id}/{task.pk}")
            if task.case is not None and task.case.owner_id is None:
                case_assign(case_id=task.case.pk, owner_id=self._collector.pk, actor_id=self._collector.pk, now=now)
            if task.kind == Task.Kind.CALL:
                self._call(task, rng, now)
            else:
                self._answer(task, now)
        return len(tasks)

    def _call(self, task: Task, rng: Random, now: datetime) -> None:
        outcome = rng.choices(
            [CallOutcome.SPOKE, CallOutcome.LEFT_MESSAGE, CallOutcome.NO_ANSWER, CallOutcome.WRONG_NUMBER],
            [5, 3, 3, 1],
        )[0]
        words = {
            CallOutcome.SPOKE: "Accounts payable had lost the mail; sent it again.",
            CallOutcome.LEFT_MESSAGE: "Left our number with the front desk.",
            CallOutcome.NO_ANSWER: "Rang out twice.",
            CallOutcome.WRONG_NUMBER: "The number belongs to somebody else now.",
        }[outcome]
        promised = outcome == CallOutcome.SPOKE and rng.random() < 0.6
        if promised and self._promise(task.case, 5, "On the telephone: with the next payment run.", now):
            words = "Spoke with accounts payable: it goes out with the next payment run."
        task_complete(task_id=task.pk, outcome=words, call=outcome, actor_id=self._collector.pk, now=now)

    def _answer(self, task: Task, now: datetime) -> None:
        words = "Answered by mail with the invoice as PDF."
        if any(text in task.notes for text in PROMISES.values()):
            # They wrote "Friday".
            days = (4 - now.weekday()) % 7 or 7
            if self._promise(task.case, days, "By mail.", now):
                words = "Thanked them and noted the promise."
        task_complete(task_id=task.pk, outcome=words, actor_id=self._collector.pk, now=now)

    def _promise(self, case: Case | None, days: int, note: str, now: datetime) -> bool:
        """Notes a promise of all that is owed; False where none can be taken (paid meanwhile, one stands)."""
        if case is None:
            return False
        owed = Invoice.objects.filter(
            customer_id=case.customer_id, brand_id=case.brand_id, status=InvoiceStatus.OPEN, balance__gt=0
        )
        first = owed.order_by("currency").values("currency").annotate(total=Sum("balance")).first()
        if first is None:
            return False
        person = case.customer
        local = zone(zone_name(timezone=person.timezone, country=person.country, brand_timezone=person.brand.timezone))
        try:
            promise_record(
                customer_id=case.customer_id,
                brand_id=case.brand_id,
                amount=first["total"],
                currency=first["currency"],
                promised_on=now.astimezone(local).date() + timedelta(days=days),
                note=note,
                actor_id=self._collector.pk,
                now=now,
            )
        except SollecitoError:
            return False
        return True

    def _letters(self, now: datetime) -> int:
        made = print_batch_create(actor_id=self._collector.pk, now=now)
        if made.batch is None:
            return 0
        print_batch_pdf(batch_id=made.batch.pk, actor_id=self._collector.pk, now=now)
        return print_batch_printed(batch_id=made.batch.pk, actor_id=self._collector.pk, now=now)
