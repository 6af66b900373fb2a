"""Owns the cases that the engine's benchmark runs over: due ones, with three failed invoices and a contact each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection

from campaigns.models import Action, Ladder, LadderVersion, Step, Template
from campaigns.services.shipped import shipped_load
from customers.models import Brand

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def execute(*statements: str) -> None:
    """Each statement by itself; outside a transaction, so that VACUUM may be one."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def populate(cases: int, spare: int) -> None:
    """Due cases by SQL, `spare` more for the naive loop, and fresh statistics."""
    execute("TRUNCATE customers_customer CASCADE")
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
                    timezone, vat_id, tags, no_dunning, do_not_contact, legal_hold, bankrupt, vulnerable,
                    exclusion_reason, metadata, created_at)
            SELECT n, 'stripe', 'cus_' || n, %s, 'Customer ' || n, 'c' || n || '@example.com', '', '', 'business',
                   (ARRAY['IT','DE','FR','PL','GB','ES'])[1 + n %% 6], (ARRAY['en','it'])[1 + n %% 2], '', '', '{}',
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
                    retry_state, retry_reason, recovered_by, held_as, metadata, created_at, updated_at)
            SELECT c.id * 3 + k, 'stripe', 'in_' || (c.id * 3 + k), c.id, c.brand_id, 'B-' || (c.id * 3 + k), '',
                   'EUR', 4900 + k, 0, 0, 'open', 'automatic', %s, %s, %s, false, 1, '', '', 'insufficient_funds',
                   'insufficient_funds', 'planned', '', '', '', '{}', %s, %s
              FROM customers_customer c, generate_series(0, 2) k
            """,
            [NOW - timedelta(days=1)] * 3 + [NOW, NOW],
        )
        cursor.execute(
            """
            INSERT INTO billing_paymentattempt
                   (invoice_id, number, status, origin, amount, currency, at, decline_code, network_decline_code,
                    advice_code, network_advice_code, decline_category, failure_message, strategy, explanation,
                    cancel_reason, override_reason, reasons, options, created_at)
            SELECT id, 1, 'declined', 'processor', amount_due, currency, first_failed_at, 'insufficient_funds', '',
                   '', '', 'insufficient_funds', '', '', '', '', '', '[]', '[]', created_at
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
    execute("VACUUM (ANALYZE)")


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


def reset(cases: int) -> None:
    """Puts the engine's cases back to where they were due, with what was written for them gone."""
    execute(
        "TRUNCATE campaigns_steprun, campaigns_message, customers_interaction CASCADE",
        "UPDATE campaigns_case SET position = 0, next_action_at = anchor_at WHERE id <= " + str(cases),
        "VACUUM (ANALYZE) campaigns_case, campaigns_steprun, campaigns_message, customers_interaction",
    )
