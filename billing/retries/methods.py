"""Owns which stored methods the retries of an invoice may use, in which order, and the words for why.

Pure over rows that are loaded already. A method the customer removed, or that may never be charged again, is in no
list. One that nobody made the default is only in it where the account's policy says so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from billing.models import AttemptStatus, Invoice, OtherMethods, PaymentAttempt, PaymentMethod, ProcessorAccount
from billing.retries.eligibility import credential_of, methods_for, usable

#: After this many declines of an invoice a method stands behind those with fewer (OtherMethods.DECLINED).
DECLINES_EACH = 3
#: Why a method is charged that needs no explanation.
DEFAULT = "a default"
#: Why a stored method is in no list.
NOT_USED = "stored, not charged unless chosen"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method an invoice may be charged on. `why` is for staff; `other` ones are used by the account's policy."""

    method: PaymentMethod
    why: str
    other: bool = False


def candidates(
    invoice: Invoice,
    *,
    defaults: Iterable[PaymentMethod],
    stored: Iterable[PaymentMethod],
    policy: str,
    attempts: Iterable[PaymentAttempt] = (),
    paid: Mapping[int, datetime] | None = None,
    now: datetime,
) -> list[Candidate]:
    """The methods of an invoice's retries in their order: chosen by staff, the defaults, then others by `policy`.

    `stored` are the customer's methods at the invoice's processor, `attempts` the invoice's own, `paid` the moment
    (aware UTC) of the last approved charge by method id. Others go by that, then by when they were stored; those past
    their date are left out, and so is a card that is in the list already under another id.
    """
    found = [Candidate(method, _why_default(invoice, method)) for method in methods_for(invoice, defaults)]
    if policy == OtherMethods.NEVER:
        return found
    seen = {credential_of(candidate.method) for candidate in found}
    last_paid = paid or {}
    rest = [method for method in stored if usable(method) and not expired(method, now)]
    rest.sort(key=lambda method: (_stamp(last_paid.get(method.pk)), _stamp(method.attached_at)), reverse=True)
    for method in rest:
        if credential_of(method) not in seen:
            seen.add(credential_of(method))
            found.append(Candidate(method, _why_other(last_paid.get(method.pk)), other=True))
    if policy == OtherMethods.DECLINED:
        declined = Counter(credential_of(a.payment_method) for a in attempts if a.status == AttemptStatus.DECLINED)
        # Staff's choice keeps its place; among the rest a method that was tried less goes first.
        found.sort(
            key=lambda c: (
                0 if c.method.pk == invoice.retry_method_id else 1 + declined[credential_of(c.method)] // DECLINES_EACH
            )
        )
    return found


def permitted(invoice: Invoice, method: PaymentMethod, account: ProcessorAccount | None) -> bool:
    """Whether an automatic charge of the invoice on `method` is still allowed, asked at the moment of acting."""
    if method.held_as != invoice.held_as:
        return False
    subscription = invoice.subscription
    named = {
        invoice.retry_method_id,
        invoice.default_payment_method_id,
        subscription.default_payment_method_id if subscription is not None else None,
    }
    if method.pk in named or method.is_default:
        return True
    policy = account.other_methods if account is not None else OtherMethods.NEVER
    return policy != OtherMethods.NEVER and method.customer_id == invoice.customer_id


def expired(method: PaymentMethod, at: datetime) -> bool:
    """Whether the month printed on a card is over at `at` (aware); False for what carries no date."""
    if not (method.exp_year and method.exp_month):
        return False
    local = at.astimezone(UTC)
    return (local.year, local.month) > (method.exp_year, method.exp_month)


def _why_default(invoice: Invoice, method: PaymentMethod) -> str:
    return "chosen by staff" if method.pk == invoice.retry_method_id else DEFAULT


def _why_other(paid_at: datetime | None) -> str:
    if paid_at is None:
        return "another stored method, not charged before"
    return f"another stored method, last paid with on {paid_at:%Y-%m-%d}"


def _stamp(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0
