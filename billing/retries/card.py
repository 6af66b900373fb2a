"""Owns what binds a card (or account) across invoices and customers: asked under one lock before every charge.

Two workers with invoices of the same card hold different customers and invoices. The card's own lock makes the second
wait until the first has its charge in the books, so that both count it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Q

from billing.matching import UNRESOLVED
from billing.models import AttemptOrigin, AttemptStatus, Invoice, PaymentAttempt, PaymentMethod, ProcessorAccount
from billing.retries import limits
from billing.retries.binding import confirmations, final_verdict, network_wait_of, wait_of
from billing.retries.debits import debit_refusal, mandate_refusal
from billing.retries.eligibility import card_country_of, credential_of, network_of
from billing.retries.ledger import CardLedger, ledger_of
from billing.retries.loading import COUNTED, HISTORY, fee_charges, on_same_cards, past_attempts, profile_of
from billing.retries.network_fees import Card
from billing.retries.taxonomy import AsksFor
from billing.retries.types import PastAttempt

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def card_lock(method: PaymentMethod) -> None:
    """Has whoever else is about to charge or mark this card wait until the caller's transaction ends.

    Taken last, after customer, invoice and attempt (billing.locks); only payment methods are locked behind it. The row
    comes fresh from the database: it may have been marked while we waited.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [f"card:{credential_of(method)}"])
    method.refresh_from_db(fields=["never_again_at", "never_again_reason", "detached_at", "renewed_at"])


def limit_reached(
    invoice: Invoice, method: PaymentMethod, origin: str, now: datetime, account: ProcessorAccount | None
) -> str | None:
    """Why a charge of this origin may not be made on the card at `now`, in one sentence, or None.

    The caller holds the card's lock (`card_lock`); all attempts on it are read anew. The networks' limits bind
    every charge; all waits and final codes of the card's declines bind an automatic one, the waits that the network
    itself asked for also one by staff. The customer in person knows whether there is money now.
    """
    made = PaymentAttempt.objects.filter(at__isnull=False, status__in=COUNTED).select_related("payment_method")
    elsewhere = made.filter(on_same_cards([method]), at__gt=now - HISTORY).exclude(invoice=invoice)
    here = list(made.filter(invoice=invoice).order_by("at", "id"))
    others = [*elsewhere, *fee_charges([method], now)]
    on_card = [row for row in here if credential_of(row.payment_method) == credential_of(method)]
    verdict = limits.check(
        brand=network_of(method),
        history=[row.at for row in (*others, *on_card) if row.at is not None],
        invoice_history=[row.at for row in on_card if row.at is not None],
        now=now,
        profile=profile_of(account),
    )
    # What the customer orders in the portal is a debit of its own, not the old one presented again.
    if not verdict.allowed and not (verdict.per_invoice and origin == AttemptOrigin.PORTAL):
        return verdict.sentence
    own = _own(here, method)
    of_others = [past for past in past_attempts(others, method) if past.fingerprint == credential_of(method)]
    declines = [past for past in (*of_others, *own) if not past.approved]
    # Nobody presses for an instalment when it is charged: what binds retries binds it.
    automatic = origin in (AttemptOrigin.RETRY, AttemptOrigin.INSTALMENT)
    if automatic:
        refused = _mandate_refusal(invoice, method, now)
        if refused is not None:
            return refused
        final = final_verdict(own, declines)
        if final is not None:
            return final.reason
        refused = debit_refusal(network_of(method), own[-1].verdict.category) if own else None
        if refused is not None:
            return refused
    wait = wait_of(declines) if automatic else network_wait_of(declines)
    binds = automatic or origin == AttemptOrigin.STAFF
    return wait.reason if binds and wait is not None and wait.until > now else None


def asks_customer(invoice: Invoice, method: PaymentMethod, now: datetime) -> str | None:
    """Why only the customer in person may charge this invoice on the card, in one sentence, or None.

    Neither a law nor a bank's wish for the customer's confirmation is a limit that staff could pass with a reason: off
    session the answer would be the same.
    """
    refused = _mandate_refusal(invoice, method, now)
    if refused is not None:
        return refused
    made = invoice.attempts.filter(at__isnull=False, status__in=COUNTED).select_related("payment_method")
    if not confirmations(_own(list(made), method)):
        return None
    return "The bank wants the customer to confirm: send them the link to the payment page."


def asked_for(attempts: Sequence[PaymentAttempt]) -> AsksFor:
    """What only the customer can do where declines ended the retries of an invoice on the card that was declined last.
    `attempts` are the invoice's, newest first, with their methods."""
    last = next((row for row in attempts if row.status == AttemptStatus.DECLINED), None)
    if last is None:
        return AsksFor.NOTHING
    own = _own(attempts[::-1], last.payment_method or PaymentMethod())
    final = final_verdict(own, [past for past in own if not past.approved])
    return final.asks_for if final is not None else AsksFor.NOTHING


def _own(rows: Sequence[PaymentAttempt], method: PaymentMethod) -> list[PastAttempt]:
    """Those of an invoice's finished charges that were made on the card, as the planner is told of them: one without a
    method is taken for one of them."""
    return [past for past in past_attempts(rows, method) if past.fingerprint in ("", credential_of(method))]


def _mandate_refusal(invoice: Invoice, method: PaymentMethod, now: datetime) -> str | None:
    left = invoice.amount_due - invoice.amount_paid - invoice.amount_credited
    return mandate_refusal(card_country_of(method), left, invoice.currency, now)


def ledgers_of(
    methods: Iterable[PaymentMethod], now: datetime, *, invoice: Invoice | None = None
) -> Mapping[int, CardLedger]:
    """Payment method id → the ledger of its card; three queries for any number of methods.

    With `invoice`, limits that count by invoice are told too.
    """
    wanted = {method.pk: method for method in methods}
    if not wanted:
        return {}
    profiles = {row.code: profile_of(row) for row in ProcessorAccount.objects.all()}
    recent = Q(at__gt=now - HISTORY) if invoice is None else Q(at__gt=now - HISTORY) | Q(invoice=invoice)
    made = PaymentAttempt.objects.filter(on_same_cards(wanted.values()) & recent, at__isnull=False, status__in=COUNTED)
    by_card: dict[str, list[PaymentAttempt]] = {}
    for row in (*made.select_related("payment_method"), *fee_charges(wanted.values(), now)):
        by_card.setdefault(credential_of(row.payment_method), []).append(row)
    ledgers = {}
    for pk, method in wanted.items():
        rows = sorted(by_card.get(credential_of(method), []), key=lambda row: (row.at or now, row.pk or 0))
        card = Card(
            brand=network_of(method),
            country=method.country,
            profile=profiles.get(method.source, "cautious"),
        )
        of_invoice = [row for row in rows if invoice is not None and row.invoice_id == invoice.pk]
        ledgers[pk] = ledger_of(
            card,
            past_attempts(rows, method),
            now,
            under_way=[row.at for row in rows if row.at is not None and row.status in UNRESOLVED],
            invoice_attempts=None if invoice is None else past_attempts(of_invoice, method),
        )
    return ledgers
