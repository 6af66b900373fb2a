"""Owns the day customers promise to pay by on the payment page, by the service staff use."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from billing import money
from billing.plans.offering import broken_words, plan_rules
from campaigns.services.confirming import confirmation_queue
from campaigns.services.promises import promise_record
from customers.errors import SollecitoError
from portal.account import day, zone_of
from portal.models import PortalLink
from portal.owed import Account


@dataclass(frozen=True, slots=True)
class Promisable:
    """What may be promised: everything owed in the one currency there is, by a day up to `last`."""

    amount: int
    currency: str
    amount_text: str
    first: date
    last: date


def promisable(*, link: PortalLink, account: Account, now: datetime, language: str) -> Promisable | None:
    """What the customer may promise on the page; None where the rules do not offer it.

    That is: another promise stands, too many were broken, nothing is late, or several currencies are owed.
    """
    groups = [group for group in account.groups if any(not item.held for item in group.items)]
    if account.promised_text or len(groups) != 1 or not any(item.late for item in groups[0].items):
        return None
    rules = plan_rules(link.brand_id)
    if not rules.promise_days or broken_words(link.customer_id, now) > rules.most_broken:
        return None
    amount = sum(item.amount for item in groups[0].items if not item.held)
    today = now.astimezone(zone_of(link.customer)).date()
    return Promisable(
        amount=amount,
        currency=groups[0].currency,
        amount_text=money.display(amount, groups[0].currency, language),
        first=today + timedelta(days=1),
        last=today + timedelta(days=rules.promise_days),
    )


@transaction.atomic
def promise_make(
    *, link: PortalLink, account: Account, wanted: Promisable, by: date, now: datetime, language: str
) -> None:
    """Takes the customer's promise to pay by a day, and queues the mail that says so. Raises SollecitoError
    (`promise_date`) for a day beyond what was offered, and as promise_record does."""
    if not wanted.first <= by <= wanted.last:
        words = _("Please choose a day up to %(day)s.")
        raise SollecitoError(words % {"day": day(wanted.last, link.customer, language)}, code="promise_date")
    ids = [item.id for group in account.groups for item in group.items if not item.held]
    promise = promise_record(
        customer_id=link.customer_id,
        brand_id=link.brand_id,
        amount=wanted.amount,
        currency=wanted.currency,
        promised_on=by,
        invoice_ids=ids,
        now=now,
    )
    told = {"amount": wanted.amount_text, "day": day(by, link.customer, language), "brand": link.brand.name}
    confirmation_queue(
        customer_id=link.customer_id,
        brand_id=link.brand_id,
        key=f"promise:{promise.pk}",
        subject=_("You will pay %(brand)s by %(day)s") % told,
        paragraphs=[
            _("Thank you for telling us: you will pay %(amount)s to %(brand)s by %(day)s.") % told,
            _("Until then we neither remind you nor charge your card. You can pay earlier on your page:"),
        ],
        language=language,
        now=now,
    )
