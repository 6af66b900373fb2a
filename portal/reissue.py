"""Owns links that go out by a mail of their own: asked for by people whose link no longer works, or sent by staff."""

import logging
from dataclasses import dataclass
from datetime import datetime
from email.utils import formataddr
from smtplib import SMTPException

from anymail.exceptions import AnymailError
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from billing.models import Invoice, InvoiceStatus
from customers.addresses import normalise
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Channel, Contact, Customer, Direction, Suppression
from customers.wake import wake
from portal.http import offered_language
from portal.limits import NEW_LINKS_PER_EMAIL, seconds_to_wait
from portal.links import link_create
from portal.models import NewLinkRequest

log = logging.getLogger(__name__)
#: One address may stand for several customers (an accountant); beyond this many it is no person's.
MOST_CUSTOMERS = 5


@dataclass(frozen=True, slots=True)
class SendResult:
    """What one round of send_requested_links did."""

    claimed: int
    sent: int


def new_link_request(*, email: str, language: str, now: datetime) -> None:
    """Notes that `email` asked for a new link; does the same work whether or not anybody knows the address."""
    address = email.strip().lower()
    if seconds_to_wait(NEW_LINKS_PER_EMAIL, address, now):
        return
    NewLinkRequest.objects.create(email=address, language=language, requested_at=now)
    wake("portal.tasks.send_requested_links")


def send_requested_links(*, now: datetime, limit: int = 50) -> SendResult:
    """Claims waiting requests and mails a new link for each customer of that address who owes something.

    At most once: a request is claimed before its mail leaves, so a crash sends none, and the visitor asks again.
    """
    with transaction.atomic():
        waiting = NewLinkRequest.objects.filter(claimed_at=None).order_by("id")
        rows = list(waiting.select_for_update(skip_locked=True)[:limit])
        NewLinkRequest.objects.filter(pk__in=[row.pk for row in rows]).update(claimed_at=now)
    sent = 0
    for row in rows:
        done = sum(_send(customer, row.email, row.language, now) for customer in _customers_of(row.email))
        NewLinkRequest.objects.filter(pk=row.pk).update(sent=done)
        sent += done
    return SendResult(claimed=len(rows), sent=sent)


def _customers_of(address: str) -> list[Customer]:
    """Customers with something open whom this address may see. One that bounced or complained gets nothing."""
    refused = [Suppression.Reason.HARD_BOUNCE, Suppression.Reason.COMPLAINT]
    if Suppression.objects.filter(channel=Channel.EMAIL, address=address, lifted_at=None, reason__in=refused).exists():
        return []
    contact = Contact.objects.filter(customer=OuterRef("pk"), active=True, email__iexact=address)
    owes = Invoice.objects.filter(customer=OuterRef("pk"), status=InvoiceStatus.OPEN, balance__gt=0)
    customers = Customer.objects.filter(
        Q(email__iexact=address) | Exists(contact), Exists(owes), deleted_at=None
    ).select_related("brand")
    return list(customers.order_by("id")[:MOST_CUSTOMERS])


def link_send(*, customer_id: int, actor_id: int, now: datetime) -> str:
    """Mails a fresh link to the customer because a member of staff was asked for it; returns the address.

    Raises SollecitoError if the customer has no address, may not be written to, or the mail could not be handed over.
    """
    customer = Customer.objects.select_related("brand").get(pk=customer_id)
    primary = customer.contacts.filter(active=True).exclude(email="").order_by("-is_primary", "id").first()
    address = normalise(Channel.EMAIL, primary.email if primary else customer.email)
    if not address:
        raise SollecitoError(_("The customer has no e-mail address."), code="no_address")
    silent = customer.do_not_contact or customer.legal_hold or customer.bankrupt or customer.deleted_at
    if silent or Suppression.objects.filter(channel=Channel.EMAIL, address=address, lifted_at=None).exists():
        raise SollecitoError(_("This customer must not be written to."), code="must_not_write")
    if not _send(customer, address, customer.language, now, actor_id):
        raise SollecitoError(
            _("The mail could not be handed over. Try again later."), code="not_sent", permanent=False
        )
    return address


def _send(customer: Customer, address: str, asked_in: str, now: datetime, actor_id: int | None = None) -> bool:
    """Mints a link and mails it; by `actor_id` of the staff, or because the customer asked for it."""
    brand = customer.brand
    issued = link_create(customer_id=customer.pk, brand_id=brand.pk, now=now)
    with translation.override(offered_language(customer.language, asked_in, brand.default_language)):
        context = {
            "url": issued.url,
            "brand": brand,
            "customer": customer,
            "days": (issued.link.expires_at - now).days,
        }
        mail = EmailMultiAlternatives(
            subject=_("Your new link to %(brand)s") % {"brand": " ".join(brand.name.split())},
            body=render_to_string("portal/new_link.txt", context),
            from_email=formataddr((brand.from_name or brand.name, brand.from_email)),
            to=[address],
            reply_to=[brand.reply_to] if brand.reply_to else None,
        )
        mail.attach_alternative(render_to_string("portal/new_link.html", context), "text/html")
    try:
        mail.send()
    except (SMTPException, AnymailError, OSError) as error:
        log.error("portal: new link for customer %s not sent: %s", customer.pk, error)
        return False
    record(
        Entry(
            customer_id=customer.pk,
            at=now,
            kind="portal.link_sent",
            summary=_("A link to the payment page was sent to %(address)s.") % {"address": address}
            if actor_id
            else _("A new link to the payment page was asked for and sent."),
            direction=Direction.OUT,
            channel=Channel.EMAIL,
            actor_kind=ActorKind.USER if actor_id else ActorKind.CUSTOMER,
            actor_id=actor_id,
            subject=f"portal_link:{issued.link.pk}",
        )
    )
    return True
