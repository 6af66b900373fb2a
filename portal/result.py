"""Owns what came of a press: read from invoices and attempts, so it is true even if the press died half-way."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing import money
from billing.models import AttemptStatus, Invoice, InvoiceStatus, PaymentAttempt, SubscriptionStatus
from billing.retries.taxonomy import AsksFor
from campaigns.rendering.reasons import decline_told
from portal.checkout import ABANDONED
from portal.models import Checkout, PortalLink


class Outcome(StrEnum):
    """What came of one invoice."""

    PAID = "paid"
    WAITING = "waiting"
    CONFIRM = "confirm"
    DECLINED = "declined"
    UNTRIED = "untried"


_LIVING = {SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING, SubscriptionStatus.PAST_DUE}


@dataclass(frozen=True, slots=True)
class Line:
    """One invoice on the result page; texts in the page's language."""

    number: str
    title: str
    amount_text: str
    outcome: Outcome
    reason: str
    hosted_url: str


@dataclass(frozen=True, slots=True)
class Result:
    """The result page. `active` names the subscriptions a payment has brought back."""

    lines: tuple[Line, ...]
    paid_text: str
    active: tuple[str, ...]

    @property
    def waiting(self) -> bool:
        """Whether something is still to be heard from the bank."""
        return any(line.outcome is Outcome.WAITING for line in self.lines)

    @property
    def all_paid(self) -> bool:
        """Whether everything of this press is paid."""
        return bool(self.lines) and all(line.outcome is Outcome.PAID for line in self.lines)

    @property
    def refused(self) -> bool:
        """Whether a bank refused, and nothing is to be heard from it any more."""
        return not self.waiting and any(line.outcome is Outcome.DECLINED for line in self.lines)

    @property
    def title(self) -> str:
        """The heading."""
        if self.waiting:
            return _("One moment, please")
        if self.all_paid:
            return _("Paid. Thank you!")
        if not self.lines:
            return _("Your card is saved")
        if any(line.outcome is Outcome.PAID for line in self.lines):
            return _("Some of it is paid")
        if any(line.outcome is Outcome.CONFIRM for line in self.lines):
            return _("Your bank asks you to confirm")
        return ngettext("The payment didn't go through", "The payments didn't go through", len(self.lines))


def read_result(*, checkout: Checkout, link: PortalLink, now: datetime, language: str) -> Result:
    """Reads the outcome of each invoice of a press in three queries."""
    invoices = Invoice.objects.filter(pk__in=checkout.invoice_ids, customer_id=link.customer_id)
    rows = {invoice.pk: invoice for invoice in invoices.select_related("subscription")}
    tried: dict[int, PaymentAttempt] = {}
    since = Q(claimed_at__gte=checkout.started_at) | Q(status__in=[AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN])
    for attempt in PaymentAttempt.objects.filter(since, invoice_id__in=list(rows)).order_by("id"):
        tried[attempt.invoice_id] = attempt
    under_way = checkout.finished_at is None and checkout.claimed_at > now - ABANDONED
    lines: list[Line] = []
    paid: list[tuple[int, str]] = []
    active: dict[str, None] = {}
    for pk in checkout.invoice_ids:
        if (invoice := rows.get(pk)) is None:
            continue
        attempt_ = tried.get(pk)
        outcome, reason = _outcome(invoice, attempt_, under_way, language)
        if outcome is Outcome.UNTRIED:
            reason = refusal_text(checkout.refusals.get(str(pk), ""))
        amount = attempt_.amount if attempt_ else invoice.amount_due - invoice.amount_credited
        plan = invoice.subscription.plan_name if invoice.subscription else ""
        if outcome is Outcome.PAID:
            paid.append((amount, invoice.currency))
            if invoice.subscription and invoice.subscription.status in _LIVING and plan:
                active[plan] = None
        lines.append(
            Line(
                number=invoice.number,
                title=plan or invoice.description,
                amount_text=money.display(amount, invoice.currency, language),
                outcome=outcome,
                reason=reason,
                hosted_url=invoice.hosted_url,
            )
        )
    totals = money.totals(paid).items()
    return Result(
        lines=tuple(lines),
        paid_text=" + ".join(money.display(amount, currency, language) for currency, amount in totals),
        active=tuple(active),
    )


def refusal_text(code: str) -> str:
    """Why no charge was made, in words for the customer; empty where there is nothing to say."""
    if code == "limit_reached":
        return _("This card has been tried too often lately. Please use another one.")
    if code == "processor_unavailable":
        return _("The payment service does not answer just now. Please try again in a few minutes.")
    if code == "unavailable":
        return _("This one could not be charged just now. Please try again in a few minutes.")
    if code == "no_method":
        return _("This card can no longer be charged. Please use another one.")
    if code == "not_collectible":
        return _("This invoice cannot be paid here at the moment.")
    return ""


def _outcome(invoice: Invoice, attempt: PaymentAttempt | None, under_way: bool, language: str) -> tuple[Outcome, str]:
    if invoice.status == InvoiceStatus.PAID or (attempt and attempt.status == AttemptStatus.SUCCEEDED):
        return Outcome.PAID, ""
    if attempt and attempt.status in (AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN):
        return Outcome.WAITING, ""
    if attempt and attempt.status == AttemptStatus.DECLINED:
        told = decline_told(verdict=attempt.verdict, category=attempt.decline_category, language=language)
        asks = told["asks_for"] == AsksFor.AUTHENTICATE and invoice.hosted_url
        return (Outcome.CONFIRM if asks else Outcome.DECLINED), told["message"]
    return (Outcome.WAITING if under_way else Outcome.UNTRIED), ""
