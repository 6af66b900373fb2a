"""Owns what a customer decides about our writing: the language, and whether we write at all."""

from datetime import datetime

from django.db import transaction

from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Channel, Contact, Customer, Direction, Suppression
from customers.models.customer import LANGUAGES


def language_set(*, customer: Customer, language: str, now: datetime) -> None:
    """Writes to this customer in `language` from now on. Raises SollecitoError for one that is not on offer."""
    if language not in dict(LANGUAGES):
        raise SollecitoError("This language is not on offer.", code="unknown_language")
    if customer.language == language:
        return
    with transaction.atomic():
        customer.language = language
        customer.save(update_fields=["language"])
        record(
            Entry(
                customer_id=customer.pk,
                at=now,
                kind="portal.language_chosen",
                summary=f"Chose to be written to in {dict(LANGUAGES)[language]}.",
                direction=Direction.IN,
                actor_kind=ActorKind.CUSTOMER,
                data={"language": language},
            )
        )


def addresses_of(customer: Customer) -> list[str]:
    """Every e-mail address we may write to for this customer, lower-case, each once."""
    contacts = Contact.objects.filter(customer=customer, active=True).exclude(email="")
    found = [customer.email, *contacts.values_list("email", flat=True)]
    return list(dict.fromkeys(address.strip().lower() for address in found if address))


def unsubscribed(customer: Customer) -> bool:
    """Whether none of the customer's addresses may be written to."""
    addresses = addresses_of(customer)
    silent = Suppression.objects.filter(channel=Channel.EMAIL, address__in=addresses, lifted_at=None)
    return bool(addresses) and silent.count() == len(addresses)


def unsubscribe(*, customer: Customer, now: datetime) -> None:
    """Suppresses e-mail to all of the customer's addresses. The link does not tell which of them it was sent
    to; silencing one too many is mended by a call, one too few is a complaint."""
    addresses = addresses_of(customer)
    with transaction.atomic():
        made = Suppression.objects.bulk_create(
            [
                Suppression(
                    channel=Channel.EMAIL,
                    address=address,
                    reason=Suppression.Reason.OPT_OUT,
                    evidence="Asked for it on the payment page.",
                    created_at=now,
                )
                for address in addresses
                if not Suppression.objects.filter(channel=Channel.EMAIL, address=address, lifted_at=None).exists()
            ],
            ignore_conflicts=True,
        )
        if made:
            record(
                Entry(
                    customer_id=customer.pk,
                    at=now,
                    kind="portal.unsubscribed",
                    summary="Asked for no more e-mails about payments.",
                    direction=Direction.IN,
                    channel=Channel.EMAIL,
                    actor_kind=ActorKind.CUSTOMER,
                )
            )
