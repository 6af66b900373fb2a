"""Owns what the engine is measured beside: one SQL statement that decides nothing, and a loop as first written."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction

from benchmarks.due_cases import NOW
from campaigns.models import Case, Message, Step, StepRun, TemplateVersion
from customers.log import Entry, record
from customers.models import Contact


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
