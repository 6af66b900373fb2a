"""Owns the "never again" of a card: given by a decline, shared by all its rows, lifted by new details only."""

from datetime import datetime

from django.db import connection
from django.db.models import Q

from billing.models import PaymentMethod
from billing.retries.card import card_lock
from billing.retries.declines import DeclineVerdict
from billing.retries.taxonomy import Category

_INHERIT = """
    UPDATE billing_paymentmethod m
       SET never_again_at = o.never_again_at, never_again_reason = o.never_again_reason
      FROM (SELECT never_again_at, never_again_reason FROM billing_paymentmethod
             WHERE source = %(source)s AND fingerprint = %(fingerprint)s AND id <> %(id)s
               AND never_again_at IS NOT NULL ORDER BY never_again_at, id LIMIT 1) o
     WHERE m.id = %(id)s AND m.never_again_at IS NULL
       AND (m.renewed_at IS NULL OR m.renewed_at <= o.never_again_at)
    RETURNING m.never_again_at, m.never_again_reason
"""


def card_mark(method: PaymentMethod | None, verdict: DeclineVerdict, at: datetime) -> None:
    """A card reported lost or a mandate revoked is never charged again, whoever stored it and for which invoice.

    Not an expired one: its bank may renew the date under the same number. Not a row whose details were renewed after
    `at` (aware UTC), the moment of the decline. The earliest decline gives the reason, whatever order they come in.
    """
    if method is None or verdict.category == Category.EXPIRED:
        return
    card_lock(method)
    same = PaymentMethod.objects.filter(source=method.source)
    same = same.filter(fingerprint=method.fingerprint) if method.fingerprint else same.filter(pk=method.pk)
    same = same.filter(Q(renewed_at__isnull=True) | Q(renewed_at__lte=at))
    same.filter(Q(never_again_at__isnull=True) | Q(never_again_at__gt=at)).update(
        never_again_at=at, never_again_reason=verdict.reason[:255]
    )


def card_mark_inherit(method: PaymentMethod) -> None:
    """A row that turns out to be a marked card is marked, too: storing a lost card again makes no new card of it."""
    if not method.fingerprint or method.pk is None or method.never_again_at is not None:
        return
    with connection.cursor() as cursor:
        cursor.execute(_INHERIT, {"id": method.pk, "source": method.source, "fingerprint": method.fingerprint})
        found = cursor.fetchone()
    if found:
        method.never_again_at, method.never_again_reason = found


def card_mark_lift(method: PaymentMethod, renewed_at: datetime) -> None:
    """New details told at `renewed_at` (aware UTC) make another credential of a row: a mark from before is gone."""
    lifted = PaymentMethod.objects.filter(pk=method.pk, never_again_at__lt=renewed_at).update(
        never_again_at=None, never_again_reason=""
    )
    if lifted:
        method.never_again_at, method.never_again_reason = None, ""
