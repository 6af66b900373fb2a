"""Owns filing a message nobody was found for: a person says whose it is, and what follows follows."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.inbound.match import Match, live_case
from campaigns.inbound.receive import follow
from campaigns.models import InboundMessage
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Customer


def inbound_assign(*, inbound_id: int, customer_id: int, actor_id: int, now: datetime) -> InboundMessage:
    """Files an unmatched message under a customer: log, task and rest as if it had been recognised at once.

    Raises SollecitoError if there is no such message or customer, or somebody was quicker.
    """
    with transaction.atomic():
        customer = Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).first()
        if customer is None:
            raise SollecitoError(_("There is no such customer."), code="no_such_customer")
        inbound = InboundMessage.objects.select_for_update().filter(pk=inbound_id).first()
        if inbound is None:
            raise SollecitoError(_("There is no such message."), code="no_such_message")
        if inbound.customer_id is not None:
            raise SollecitoError(_("The message has its customer already."), code="already_assigned")
        found = Match(customer, None, live_case(customer, None), "staff")
        inbound.customer, inbound.case, inbound.matched_by = customer, found.case, found.by
        inbound.save(update_fields=["customer", "case", "matched_by"])
        record(
            Entry(
                customer_id=customer.pk,
                at=now,
                kind="reply.assigned",
                summary=_("A message from %(sender)s was filed here.") % {"sender": inbound.sender},
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                subject=f"inbound:{inbound.pk}",
            )
        )
        follow(inbound, found, [], now)
    return inbound
