"""Owns paying in the portal: one press charges each chosen invoice once, however often it is sent."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from billing.charging import charge_now
from billing.models import AttemptOrigin, AttemptStatus, PaymentAttempt
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Direction
from portal.models import Checkout, PortalLink

log = logging.getLogger(__name__)
#: A press whose process has not finished after this long died; it may be taken up again. Longer than any
#: request lives, so that a slow one is not doubled.
ABANDONED = timedelta(minutes=3)
#: No further charge is begun after this many seconds of one request; the page offers the rest again.
BUDGET_SECONDS = 25.0


def checkout_claim(
    *, link: PortalLink, key: str, kind: Checkout.Kind, invoice_ids: Sequence[int], now: datetime
) -> tuple[Checkout, bool]:
    """The row of a press, and whether the caller is the one to carry it out.

    False for a second click, a reload or a way back: the first press is done or still under way.
    """
    row, made = Checkout.objects.get_or_create(
        link=link,
        key=key,
        defaults={"kind": kind, "invoice_ids": list(invoice_ids), "started_at": now, "claimed_at": now},
    )
    if made or row.finished_at is not None or row.claimed_at > now - ABANDONED:
        return row, made
    taken = Checkout.objects.filter(pk=row.pk, claimed_at=row.claimed_at, finished_at=None).update(claimed_at=now)
    return row, bool(taken)


def checkout_run(*, checkout: Checkout, link: PortalLink, payment_method_id: int, now: datetime) -> None:
    """Charges the invoices of a claimed press one after the other, each under its own idempotency key.

    What came of each stands in its attempts; a refusal of one does not keep the others from being tried.
    """
    origin = AttemptOrigin.NEW_METHOD if checkout.kind == Checkout.Kind.NEW_METHOD else AttemptOrigin.PORTAL
    begun = time.monotonic()
    for invoice_id in checkout.invoice_ids:
        if time.monotonic() - begun > BUDGET_SECONDS:
            break
        try:
            outcome = charge_now(invoice_id=invoice_id, origin=origin, now=now, payment_method_id=payment_method_id)
            if outcome.status == AttemptStatus.CANCELLED:
                checkout.refusals[str(invoice_id)] = outcome.message_key
        except SollecitoError as error:
            log.info("portal checkout %s: invoice %s not charged: %s", checkout.pk, invoice_id, error.code)
            checkout.refusals[str(invoice_id)] = error.code
    _finish(checkout, link, now)


def _finish(checkout: Checkout, link: PortalLink, now: datetime) -> None:
    paid = list(
        PaymentAttempt.objects.filter(
            invoice_id__in=checkout.invoice_ids, status=AttemptStatus.SUCCEEDED, claimed_at__gte=checkout.started_at
        ).values_list("invoice_id", flat=True)
    )
    with transaction.atomic():
        Checkout.objects.filter(pk=checkout.pk).update(finished_at=now, refusals=checkout.refusals)
        if paid:
            record(
                Entry(
                    customer_id=link.customer_id,
                    at=now,
                    kind="portal.paid",
                    summary=f"Paid {len(paid)} of {len(checkout.invoice_ids)} invoices on the payment page.",
                    direction=Direction.IN,
                    actor_kind=ActorKind.CUSTOMER,
                    subject=f"checkout:{checkout.pk}",
                    data={"invoices": sorted(set(paid))},
                    key=f"portal.paid:{checkout.pk}",
                )
            )
    checkout.finished_at = now
