"""Owns the one way a charge's outcome becomes facts, whoever tells it first: the response or a webhook.

Both call `charge_record` with the processor's charge id; the second finds the work done. `Payment.external_id`
of a processor's payment is that charge id.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from billing.charge_log import decline_entry, success_entry
from billing.locks import lock_invoice
from billing.matching import ASK_PROCESSING_AFTER, UNRESOLVED, ChargeFact, attempt_of, attempts_renumber
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    CollectionMethod,
    Invoice,
    InvoiceStatus,
    Payment,
    PaymentAttempt,
    ProcessorAccount,
    RecoverySource,
    RetryMode,
    RetryState,
)
from billing.models.attempt import TRANSITIONS
from billing.retries.declines import DeclineVerdict
from billing.retries.marks import card_mark
from billing.retries.unknown import unknown_codes_count
from billing.settling import invoice_settle, payment_allocate, planned_cancel
from billing.signals import announce_facts_changed
from customers import log
from customers.errors import SollecitoError, check_transition
from customers.rows import row, row_insert, row_update, rows
from customers.services import customers_reassess
from customers.wake import wake

#: A first answer; campaigns.engine.attribution has the last word. Who brought a new method is for it to say.
_RECOVERED_BY = {
    AttemptOrigin.RETRY: RecoverySource.SILENT_RETRY,
    AttemptOrigin.PORTAL: RecoverySource.PORTAL,
    AttemptOrigin.STAFF: RecoverySource.STAFF,
    AttemptOrigin.INSTALMENT: RecoverySource.STAFF,
}
#: Columns that a charge's outcome writes: of its attempt, and of its invoice when it was declined.
_SETTLED = (
    "status", "external_id", "amount", "currency", "at", "finished_at", "resolve_at", "payment_method_id",
    "decline_code", "network_decline_code", "advice_code", "network_advice_code", "decline_category",
    "failure_message",
)  # fmt: skip
_DECLINED = (
    "first_failed_at", "last_decline_code", "last_decline_category", "retry_state", "retry_reason", "updated_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recorded:
    """The attempt a charge is recorded on; `changed` is False when this had been told before."""

    attempt_id: int
    status: str
    changed: bool


def charge_record(*, invoice_id: int, fact: ChargeFact, now: datetime, attempt_id: int | None = None) -> Recorded:
    """Records a charge that succeeded or was declined: attempt, payment and allocation, invoice, log.

    May be told any number of times, in any order. `attempt_id` is our own attempt where the caller knows it; else
    the charge is matched by its id, then to our attempt under way, and only then taken for one that the processor
    or the customer made. Raises SollecitoError (`unknown_invoice`, `currency_mismatch`).
    """
    with transaction.atomic():
        return charge_apply(invoice_id=invoice_id, fact=fact, now=now, attempt_id=attempt_id)


def charge_apply(*, invoice_id: int, fact: ChargeFact, now: datetime, attempt_id: int | None = None) -> Recorded:
    """Does what `charge_record` does in the caller's transaction, which the caller gives up when this raises."""
    invoice = lock_invoice(invoice_id)
    if invoice is None:
        raise SollecitoError(f"There is no invoice {invoice_id}.", code="unknown_invoice")
    if fact.currency.upper() != invoice.currency.upper():
        raise SollecitoError("The charge and the invoice differ in currency.", code="currency_mismatch")
    attempts = rows(PaymentAttempt, "invoice_id = %s FOR NO KEY UPDATE", [invoice.pk])
    attempt = attempt_of(invoice, attempts, fact, now, attempt_id)
    ours = next((a for a in attempts if a.pk == attempt_id and a.status in UNRESOLVED), None)
    if ours is not None and ours is not attempt:
        _merge(invoice, ours, attempt, now)
    target = AttemptStatus.SUCCEEDED if fact.succeeded else AttemptStatus.DECLINED
    if attempt.status == target:
        _complete(invoice, attempt, attempts, fact, now)
        return Recorded(attempt.pk, target, changed=False)
    check_transition(TRANSITIONS, what="attempt", source=attempt.status, target=target)
    _settle_attempt(attempt, attempts, fact, target, now)
    customers_reassess([invoice.customer_id], now)
    if fact.succeeded:
        _record_success(invoice, attempt, fact, now)
    else:
        _record_decline(invoice, attempt, fact, now)
    announce_facts_changed([invoice.customer_id])
    return Recorded(attempt.pk, target, changed=True)


def charge_under_way(*, invoice_id: int, fact: ChargeFact, now: datetime) -> None:
    """Records a charge whose outcome comes days later (a bank debit), in the caller's transaction.

    Until then nothing else is charged or planned for its invoice, and nobody is written to because of it. One that was
    told before, or is finished by now, changes nothing.
    """
    invoice = lock_invoice(invoice_id)
    if invoice is None or invoice.status != InvoiceStatus.OPEN:
        return
    attempts = rows(PaymentAttempt, "invoice_id = %s FOR NO KEY UPDATE", [invoice.pk])
    attempt = attempt_of(invoice, attempts, fact, now, None)
    # Another charge that is unresolved keeps the invoice busy as it is; there can be one only.
    if attempt.pk is not None or any(other.status in UNRESOLVED for other in attempts):
        return
    planned_cancel(invoice_id=invoice.pk, reason="A debit is under way.", now=now)
    attempt.status, attempt.external_id = AttemptStatus.UNKNOWN, fact.charge_id
    attempt.amount, attempt.currency = fact.amount, invoice.currency
    attempt.claimed_at, attempt.resolve_at = attempt.at, now + ASK_PROCESSING_AFTER
    attempt.save()
    attempts_renumber([*attempts, attempt])
    customers_reassess([invoice.customer_id], now)
    announce_facts_changed([invoice.customer_id])


def _merge(invoice: Invoice, ours: PaymentAttempt, known: PaymentAttempt, now: datetime) -> None:
    """Our attempt's charge was taken for somebody else's: one row keeps the charge and learns why it was made.

    What brought the money is then asked anew: it may have been answered while the charge was a stranger's.
    """
    PaymentAttempt.objects.filter(pk=ours.pk).update(
        status=AttemptStatus.CANCELLED, finished_at=now, cancel_reason=f"Recorded as attempt {known.number}."
    )
    PaymentAttempt.objects.filter(pk=known.pk).update(
        origin=ours.origin, strategy=ours.strategy, probability=ours.probability, explanation=ours.explanation
    )
    if Invoice.objects.filter(pk=invoice.pk).exclude(recovered_by="").update(recovered_by=""):
        customers_reassess([invoice.customer_id], now)


def _complete(
    invoice: Invoice, attempt: PaymentAttempt, attempts: Iterable[PaymentAttempt], fact: ChargeFact, now: datetime
) -> None:
    """Adds what only the second teller knows: the processor's time, codes that the first answer left out."""
    told = {
        "decline_code": fact.decline_code,
        "network_decline_code": fact.network_decline_code,
        "advice_code": fact.advice_code,
        "network_advice_code": fact.network_advice_code,
    }
    news: dict[str, object] = {name: value for name, value in told.items() if value and not getattr(attempt, name)}
    if fact.at is not None and fact.at != attempt.at:
        news["at"] = fact.at
    if attempt.payment_method_id is None and fact.payment_method_id is not None:
        news["payment_method_id"] = fact.payment_method_id
    if news:
        PaymentAttempt.objects.filter(pk=attempt.pk).update(**news)
        for name, value in news.items():
            setattr(attempt, name, value)
    if attempt.status == AttemptStatus.DECLINED and not news.keys().isdisjoint((*told, "payment_method_id")):
        _decline_learnt(invoice, attempt, frozenset(news), now)
    if "at" in news:
        attempts_renumber(attempts)


def _decline_learnt(invoice: Invoice, attempt: PaymentAttempt, learnt: frozenset[str], now: datetime) -> None:
    """Codes that came later, as a network's "do not try again" may, mean the same as if they had come at once."""
    verdict = attempt.verdict
    PaymentAttempt.objects.filter(pk=attempt.pk).update(decline_category=verdict.category.value)
    _last_decline(invoice)
    invoice.save(update_fields=["last_decline_code", "last_decline_category", "updated_at"])
    unknown = [code for code in verdict.unknown_codes if code.partition(":")[0] in learnt]
    _note(attempt, verdict, unknown, attempt.at or now)
    customers_reassess([invoice.customer_id], now)
    announce_facts_changed([invoice.customer_id])


def _note(attempt: PaymentAttempt, verdict: DeclineVerdict, unknown: Iterable[str], at: datetime) -> None:
    """What a decline means beyond its invoice: for its card, and for whoever keeps the table of codes."""
    if verdict.hard:
        card_mark(attempt.payment_method, verdict, at)
    unknown_codes_count(unknown, attempt_id=attempt.pk, at=at)


def _last_decline(invoice: Invoice) -> None:
    newest = (
        PaymentAttempt.objects.filter(invoice=invoice, status=AttemptStatus.DECLINED)
        .order_by("-at", "-number")
        .first()
    )
    if newest is not None:
        invoice.last_decline_code = newest.decline_code
        invoice.last_decline_category = newest.decline_category


def _settle_attempt(
    attempt: PaymentAttempt,
    attempts: Sequence[PaymentAttempt],
    fact: ChargeFact,
    status: AttemptStatus,
    now: datetime,
) -> None:
    attempt_fill(attempt, fact, status, now)
    if attempt.pk is None:
        row_insert(attempt)
        attempts_renumber([*attempts, attempt])
    else:
        row_update(attempt, _SETTLED)
        attempts_renumber(attempts)


def attempt_fill(attempt: PaymentAttempt, fact: ChargeFact, status: AttemptStatus, now: datetime) -> None:
    """Sets the fields of an attempt to what is known of its charge, finished at `now` (aware UTC). Writes nothing."""
    attempt.status = status
    attempt.external_id = fact.charge_id or None
    attempt.amount, attempt.currency = fact.amount, attempt.invoice.currency
    attempt.at = fact.at or attempt.at or now
    attempt.finished_at, attempt.resolve_at = now, None
    attempt.payment_method_id = attempt.payment_method_id or fact.payment_method_id
    if status == AttemptStatus.DECLINED:
        attempt.decline_code = fact.decline_code[:60]
        attempt.network_decline_code = fact.network_decline_code[:20]
        attempt.advice_code = fact.advice_code[:40]
        attempt.network_advice_code = fact.network_advice_code[:20]
        attempt.decline_category = fact.verdict.category.value
        attempt.failure_message = fact.message[:500]


def _record_success(invoice: Invoice, attempt: PaymentAttempt, fact: ChargeFact, now: datetime) -> None:
    at = attempt.at or now
    # The customer's lock is held: nobody else can be making this payment at the same time.
    payment = row(Payment, "source = %s AND external_id = %s", [invoice.source, fact.charge_id])
    if payment is None:
        payment = Payment(
            source=invoice.source,
            external_id=fact.charge_id,
            customer_id=invoice.customer_id,
            amount=fact.amount,
            currency=invoice.currency,
            received_at=at,
            method=fact.method_type or (attempt.payment_method.type if attempt.payment_method else ""),
        )
        row_insert(payment)
    payment_allocate(payment=payment, invoice=invoice)
    settled = invoice_settle(invoice=invoice, at=at, recovered_by=_RECOVERED_BY.get(AttemptOrigin(attempt.origin), ""))
    if not settled and attempt.part:
        _rest_remains(invoice)
    log.record(success_entry(invoice, attempt, fact, at))


def _rest_remains(invoice: Invoice) -> None:
    """After a part the retries go on with what is left; in a plan its next instalment does."""
    again = may_retry_here(invoice)
    invoice.retry_state, invoice.retry_reason = RetryState.NEEDS_PLAN if again else RetryState.NONE, ""
    invoice.save(update_fields=["retry_state", "retry_reason", "updated_at"])
    if again:
        wake("billing.tasks.plan_retries")


def _record_decline(invoice: Invoice, attempt: PaymentAttempt, fact: ChargeFact, now: datetime) -> None:
    at, verdict = attempt.at or now, fact.verdict
    invoice.first_failed_at = min(invoice.first_failed_at or at, at)
    _last_decline(invoice)
    if may_retry_here(invoice):
        # What was planned did not know this decline.
        planned_cancel(invoice_id=invoice.pk, reason="Planned anew after another decline.", now=now)
        invoice.retry_state, invoice.retry_reason = RetryState.NEEDS_PLAN, ""
        wake("billing.tasks.plan_retries")
    row_update(invoice, _DECLINED)
    _note(attempt, verdict, verdict.unknown_codes, at)
    log.record(decline_entry(invoice, attempt, fact, at))


def recovered_by(attempt: PaymentAttempt | None) -> str:
    """What an invoice paid by this attempt was recovered by; "" when the charge was not ours."""
    return _RECOVERED_BY.get(AttemptOrigin(attempt.origin), "") if attempt is not None else ""


def may_retry_here(invoice: Invoice) -> bool:
    """Whether our loop has anything to do with a failed invoice: open, charged automatically, its retries ours."""
    if invoice.status != InvoiceStatus.OPEN or invoice.collection_method != CollectionMethod.AUTOMATIC:
        return False
    if invoice.in_plan:
        return False
    account = row(ProcessorAccount, "code = %s", [invoice.source])
    return account is not None and account.retry_mode in (RetryMode.OWN, RetryMode.TAKE_OVER)
