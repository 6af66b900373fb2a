"""Measures the escalate loop: decide + persist per case, beside plain SQL writing the same rows and a naive loop.

Every case is due, has three failed invoices with a declined attempt each and a contact, and its step is an e-mail.
Rendering is measured apart (the delivering processes do it); nothing is sent.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from campaigns.engine.run import escalate_all, escalate_due
from campaigns.models import (
    Action,
    Case,
    Ladder,
    LadderVersion,
    Message,
    Step,
    StepRun,
    Template,
    TemplateText,
    TemplateVersion,
)
from campaigns.rendering.examples import example_context
from campaigns.rendering.render import CompiledTemplate, render
from campaigns.services.shipped import shipped_load
from customers.log import Entry, record
from customers.models import Brand, Contact

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
#: Mails rendered for the text's rate; enough for a steady figure.
TEXTS = 1000
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one size. Rates are cases a second of wall time, on one process and one connection."""

    cases: int
    engine_per_s: int
    sql_floor_per_s: int
    naive_per_s: int
    naive_sample: int
    of_floor: float
    over_naive: float
    queries_per_batch: int
    batch_size: int
    #: The same by processor time, ours and the database's together: what a busy machine does not blur.
    engine_per_cpu_s: int
    sql_floor_per_cpu_s: int
    naive_per_cpu_s: int
    of_floor_cpu: float
    #: Shares of the engine's processor time.
    engine_python_share: float
    #: Finished mails a second (subject, HTML, plain text), by the delivering process; and both parts in a row.
    text_per_s: int
    sum_per_s: int
    peak_rss_mb: int
    #: Load average of the last minute when the floor had run: what else the machine was doing.
    load: float
    #: The same loop in several processes at once, on the same queue; None unless asked for.
    workers: int
    workers_per_s: int | None


def measure(cases: int, *, batch_size: int, naive_sample: int, workers: int, progress: Progress) -> Measured:
    """Fills an empty database with `cases` due ones, and as many again for the floor, and runs all three."""
    progress(f"{cases:,} cases: filling")
    populate(cases, naive_sample)
    progress("naive loop")
    naive = _spent(lambda: naive_loop(naive_sample))
    # The checks of foreign keys keep the plan of their first use: one made for an empty table reads all of it for
    # every row, until autovacuum has come by. An installation that has run for a minute knows its tables.
    _sql("VACUUM (ANALYZE)")
    connection.close()
    progress("engine")
    with CaptureQueriesContext(connection) as captured:
        first = escalate_due(now=NOW, limit=batch_size)
    assert first.done == min(batch_size, cases)
    counted: list[int] = []
    engine = _spent(lambda: counted.extend(result.done for result in escalate_all(now=NOW, limit=batch_size)))
    done = sum(counted)
    assert done == cases - first.done
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    progress("text")
    text = TEXTS / _spent(render_texts).wall
    progress("SQL floor")
    reset(cases)
    floor = _spent(sql_floor)
    load = round(os.getloadavg()[0], 1)
    assert StepRun.objects.count() == Message.objects.count() == cases
    together = None
    if workers > 1:
        progress(f"{workers} processes")
        reset(cases)
        together = _together(workers, batch_size)
        assert StepRun.objects.count() == Message.objects.count() == cases
    return Measured(
        cases=cases,
        engine_per_s=round(done / engine.wall),
        sql_floor_per_s=round(cases / floor.wall),
        naive_per_s=round(naive_sample / naive.wall),
        naive_sample=naive_sample,
        of_floor=round(done / engine.wall / (cases / floor.wall), 2),
        over_naive=round(done / engine.wall / (naive_sample / naive.wall), 1),
        engine_per_cpu_s=round(done / engine.cpu),
        sql_floor_per_cpu_s=round(cases / floor.cpu),
        naive_per_cpu_s=round(naive_sample / naive.cpu),
        of_floor_cpu=round(done / engine.cpu / (cases / floor.cpu), 2),
        engine_python_share=round(engine.python / engine.cpu, 2),
        queries_per_batch=len(captured),
        batch_size=batch_size,
        text_per_s=round(text),
        sum_per_s=round(1 / (engine.wall / done + 1 / text)),
        peak_rss_mb=rss,
        load=load,
        workers=workers,
        workers_per_s=None if together is None else round(cases / together),
    )


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of wall time, and of processor time of this process and its database backend."""

    wall: float
    python: float
    database: float

    @property
    def cpu(self) -> float:
        return self.python + self.database


def _spent(act: Callable[[], object]) -> Spent:
    python, database, wall = time.process_time(), _backend_cpu(), time.perf_counter()
    act()
    return Spent(time.perf_counter() - wall, time.process_time() - python, _backend_cpu() - database)


def _together(workers: int, batch_size: int) -> float:
    """Seconds of wall time until as many processes have emptied the queue between them."""
    connection.close()
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(workers + 1)
    processes = [context.Process(target=_worker, args=(ready, batch_size)) for _ in range(workers)]
    for process in processes:
        process.start()
    ready.wait(60)
    began = time.perf_counter()
    for process in processes:
        process.join()
    assert not any(process.exitcode for process in processes)
    return time.perf_counter() - began


def _worker(ready: Barrier, batch_size: int) -> None:
    connection.ensure_connection()
    ready.wait(60)
    for _result in escalate_all(now=NOW, limit=batch_size):
        pass


def _backend_cpu() -> float:
    """Processor seconds of this connection's backend so far (user and system; Linux)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(sizes: list[int], *, batch_size: int, naive_sample: int, workers: int, progress: Progress) -> dict[str, Any]:
    """One JSON-able object with the figures of every size."""
    return {
        "bench": "engine",
        "step": "e-mail, three invoices a case",
        "sizes": [
            asdict(measure(size, batch_size=batch_size, naive_sample=naive_sample, workers=workers, progress=progress))
            for size in sizes
        ],
    }


def _sql(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def populate(cases: int, spare: int) -> None:
    """Due cases by SQL, `spare` more for the naive loop, and fresh statistics."""
    _sql("TRUNCATE customers_customer CASCADE")
    brand, _made = Brand.objects.get_or_create(
        code="bench", defaults={"name": "Bench", "from_email": "b@example.com", "timezone": "UTC"}
    )
    shipped_load(now=NOW)
    version = _ladder()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO customers_customer
                   (id, source, external_id, brand_id, name, email, phone, postal_address, kind, country, language,
                    timezone, tags, no_dunning, do_not_contact, legal_hold, bankrupt, vulnerable, exclusion_reason,
                    metadata, created_at)
            SELECT n, 'stripe', 'cus_' || n, %s, 'Customer ' || n, 'c' || n || '@example.com', '', '', 'business',
                   (ARRAY['IT','DE','FR','PL','GB','ES'])[1 + n %% 6], (ARRAY['en','it'])[1 + n %% 2], '', '{}',
                   false, false, false, false, false, '', '{}', %s
              FROM generate_series(1, %s) n
            """,
            [brand.pk, NOW, cases + spare],
        )
        cursor.execute(
            """
            INSERT INTO customers_contact
                   (customer_id, name, email, phone, role, language, is_primary, active, created_at)
            SELECT id, name, 'ap' || id || '@example.com', '', '', '', true, true, created_at FROM customers_customer
            """
        )
        cursor.execute(
            """
            INSERT INTO billing_invoice
                   (id, source, external_id, customer_id, brand_id, number, description, currency, amount_due,
                    amount_paid, amount_credited, status, collection_method, issued_at, due_at, first_failed_at,
                    in_plan, processor_attempts, hosted_url, pdf_url, last_decline_code, last_decline_category,
                    retry_state, retry_reason, recovered_by, metadata, created_at, updated_at)
            SELECT c.id * 3 + k, 'stripe', 'in_' || (c.id * 3 + k), c.id, c.brand_id, 'B-' || (c.id * 3 + k), '',
                   'EUR', 4900 + k, 0, 0, 'open', 'automatic', %s, %s, %s, false, 1, '', '', 'insufficient_funds',
                   'insufficient_funds', 'planned', '', '', '{}', %s, %s
              FROM customers_customer c, generate_series(0, 2) k
            """,
            [NOW - timedelta(days=1)] * 3 + [NOW, NOW],
        )
        cursor.execute(
            """
            INSERT INTO billing_paymentattempt
                   (invoice_id, number, status, origin, amount, currency, at, decline_code, network_decline_code,
                    advice_code, network_advice_code, decline_category, failure_message, strategy, explanation,
                    cancel_reason, created_at)
            SELECT id, 1, 'declined', 'processor', amount_due, currency, first_failed_at, 'insufficient_funds', '',
                   '', '', 'insufficient_funds', '', '', '', '', created_at
              FROM billing_invoice
            """
        )
        cursor.execute(
            """
            INSERT INTO campaigns_case
                   (id, customer_id, brand_id, ladder_version_id, trigger, state, opened_at, anchor_at, round,
                    position, next_action_at, next_action_reason, rest_reason, close_reason, created_at)
            SELECT id, id, brand_id, %s, 'payment_failed', 'open', %s, moment, 1, 0, moment, 'Just opened.', '', '',
                   %s
              FROM customers_customer, LATERAL (SELECT %s + id %% 3600 * interval '1.000007 s' AS moment) AS began
            """,
            [version.pk, NOW - timedelta(days=1), NOW, NOW - timedelta(hours=1, minutes=5)],
        )
        cursor.execute(
            "INSERT INTO campaigns_caseinvoice (case_id, invoice_id, joined_at, outcome) "
            "SELECT customer_id, id, %s, '' FROM billing_invoice",
            [NOW],
        )
        # The naive loop's cases are not the engine's.
        cursor.execute("UPDATE campaigns_case SET next_action_at = NULL WHERE id > %s", [cases])
    _sql("VACUUM (ANALYZE)")


def _ladder() -> LadderVersion:
    ladder, made = Ladder.objects.get_or_create(code="bench", defaults={"name": "Bench", "trigger": "payment_failed"})
    if not made:
        return ladder.versions.get()
    version = LadderVersion.objects.create(
        ladder=ladder, number=1, status="published", published_at=NOW, end_actions=["cancel_subscription"]
    )
    template = Template.objects.get(code="card_failed_1")
    for position, days in enumerate((0, 3, 7, 14, 21), start=1):
        Step.objects.create(
            version=version,
            position=position,
            key=f"step-{position}",
            name=f"Step {position}",
            offset=days,
            action=Action.MESSAGE,
            channel="email",
            template=template,
            window_from="06:00",
            window_to="22:00",
        )
    return version


def render_texts() -> None:
    """Renders the step's mail TEXTS times, as the delivering processes do, from a context that is ready."""
    text = TemplateText.objects.get(
        version__template__code="card_failed_1", version__status="published", language="en", channel="email"
    )
    source = CompiledTemplate(text.subject, text.compiled_html, text.compiled_text)
    context = example_context("en")
    for number in range(TEXTS):
        context["invoices"][0]["balance"] = context["balances"][0]["amount"] = 10_000 + 37 * number
        render(source, context)


def reset(cases: int) -> None:
    """Puts the engine's cases back to where they were due, with what was written for them gone."""
    _sql(
        "TRUNCATE campaigns_steprun, campaigns_message, customers_interaction CASCADE",
        "UPDATE campaigns_case SET position = 0, next_action_at = anchor_at WHERE id <= " + str(cases),
        "VACUUM (ANALYZE) campaigns_case, campaigns_steprun, campaigns_message, customers_interaction",
    )


def sql_floor() -> None:
    """The same rows and moves for every due case in one statement that decides nothing."""
    step, following = Step.objects.filter(version__ladder__code="bench").order_by("position")[:2]
    version = TemplateVersion.objects.get(template=step.template_id, status="published")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH due AS (
                SELECT c.id, c.customer_id, c.brand_id, c.round, c.anchor_at, p.id AS contact_id, p.email, cu.language
                  FROM campaigns_case c
                  JOIN customers_customer cu ON cu.id = c.customer_id
                  JOIN customers_contact p ON p.customer_id = c.customer_id AND p.is_primary
                 WHERE c.next_action_at <= %(now)s
                   FOR NO KEY UPDATE OF c SKIP LOCKED
            ), runs AS (
                INSERT INTO campaigns_steprun
                       (case_id, step_id, round, scheduled_for, decided_at, decision, reason, rule)
                SELECT id, %(step)s, round, anchor_at, %(now)s, 'done', '', '' FROM due
                RETURNING id, case_id
            ), messages AS (
                INSERT INTO campaigns_message
                       (customer_id, brand_id, case_id, step_run_id, contact_id, purpose, channel,
                        template_version_id, language, recipient, key, status, subject, html, text, queued_at,
                        send_at, attempts, provider_id, reason, rule)
                SELECT d.customer_id, d.brand_id, d.id, r.id, d.contact_id, 'dunning', 'email', %(version)s,
                       d.language, d.email, 'step:' || r.id || ':' || d.contact_id || ':email', 'queued', '', '', '',
                       %(now)s, %(now)s, 0, '', '', ''
                  FROM runs r JOIN due d ON d.id = r.case_id
            ), lines AS (
                INSERT INTO customers_interaction
                       (customer_id, at, kind, direction, channel, actor_kind, summary, body, outcome, subject, data)
                SELECT customer_id, %(now)s, 'step.done', 'internal', 'email', 'system',
                       'Step “Step 1”: message to ' || email || ' queued.', '', '', 'case:' || id,
                       '{"step": "step-1"}'
                  FROM due
            )
            UPDATE campaigns_case c
               SET position = 1, next_action_at = c.anchor_at + make_interval(days => %(days)s),
                   next_action_reason = '“Step 2”: Thu 12 Mar 12:00 (Europe/Rome)'
              FROM due d WHERE c.id = d.id
            """,
            {"now": NOW, "step": step.pk, "version": version.pk, "days": following.offset},
        )


def naive_loop(sample: int) -> None:
    """Case by case through the ORM, as one writes it first: lock, read, insert, save."""
    following = Step.objects.filter(version__ladder__code="bench").order_by("position")[1]
    for pk in Case.objects.order_by("-id").values_list("id", flat=True)[:sample]:
        with transaction.atomic():
            case = Case.objects.select_for_update(of=("self",)).select_related("customer", "brand").get(pk=pk)
            invoices = [row.invoice for row in case.case_invoices.select_related("invoice")]
            assert sum(invoice.balance for invoice in invoices) > 0
            step = Step.objects.get(version=case.ladder_version_id, position=case.position + 1)
            contact = Contact.objects.get(customer=case.customer_id, is_primary=True)
            version = TemplateVersion.objects.get(template=step.template_id, status="published")
            run = StepRun.objects.create(
                case=case, step=step, round=case.round, scheduled_for=case.anchor_at, decided_at=NOW, decision="done"
            )
            Message.objects.create(
                customer=case.customer,
                brand=case.brand,
                case=case,
                step_run=run,
                contact=contact,
                channel=step.channel,
                template_version=version,
                language=case.customer.language,
                recipient=contact.email,
                key=f"step:{run.pk}:{contact.pk}:email",
                queued_at=NOW,
                send_at=NOW,
            )
            record(
                Entry(
                    customer_id=case.customer_id,
                    at=NOW,
                    kind="step.done",
                    summary=f"Step “{step.name}”: message to {contact.email} queued.",
                    channel="email",
                    subject=f"case:{case.pk}",
                    data={"step": step.key},
                )
            )
            case.position += 1
            case.next_action_at = case.anchor_at + timedelta(days=following.offset)
            case.save()
