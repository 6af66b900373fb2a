"""Owns finding whose an incoming message is: by our own sign, by the thread it answers, by the sender's address."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q

from campaigns.models import Case, Message
from campaigns.models.case import LIVE_STATES
from campaigns.reply_tokens import message_of
from customers.addresses import normalise
from customers.models import Channel, Contact, Customer
from customers.models.customer import PHONE_DIGITS, PHONE_TAIL

#: An address of more customers than these is nobody's own (an accountant's, an agency's).
MOST_CUSTOMERS = 20
#: Numbers with the same last digits that are looked at.
MOST_ALIKE = 200


@dataclass(frozen=True, slots=True)
class Match:
    """Whose it is and what it answers; `by` is token, thread or address."""

    customer: Customer
    message: Message | None
    case: Case | None
    by: str


def find(
    *, channel: str, sender: str, signs: Collection[str] = (), references: Collection[str] = (), country: str = ""
) -> Match | None:
    """`signs` are addresses it was sent to, `references` the Message-IDs it answers, newest first."""
    message = message_of(signs)
    by = "token"
    if message is None:
        message, by = message_of(references) or _by_provider_id(channel, references), "thread"
    if message is not None:
        return Match(message.customer, message, live_case(message.customer, message), by)
    return _by_address(channel, sender, country)


def _by_provider_id(channel: str, references: Collection[str]) -> Message | None:
    ids = [reference.strip() for reference in references if reference.strip()]
    bare = [reference.strip("<>") for reference in ids]
    # Providers that replace the Message-ID tell their own with or without brackets, or without the domain.
    wanted = {*ids, *bare, *(name.partition("@")[0] for name in bare)} - {""}
    if not wanted:
        return None
    # Of this channel only: notices and letters are numbered one after the other, and anybody could name one.
    return Message.objects.filter(provider_id__in=wanted, channel=channel).order_by("-id").first()


def _by_address(channel: str, sender: str, country: str) -> Match | None:
    customers = _customers(channel, sender, country)
    if not customers:
        return None
    spelled = normalise(channel, sender, country)
    # Of several the one we wrote to last; a customer's own messages are few and indexed.
    written = [
        message
        for message in Message.objects.filter(customer__in=customers, channel=channel, sent_at__isnull=False)
        .select_related("customer")
        .defer("html", "text")
        .order_by("-sent_at", "-id")[:200]
        if normalise(channel, message.recipient, message.customer.country) == spelled
    ]
    if written:
        return Match(written[0].customer, written[0], live_case(written[0].customer, written[0]), "address")
    owing = [row for row in customers if live_case(row, None)]
    chosen = (owing or customers)[0]
    # Two who both owe and neither was written to there: a guess would file it under the wrong name.
    if len(owing) > 1 or (not owing and len(customers) > 1):
        return None
    return Match(chosen, None, live_case(chosen, None), "address")


def _customers(channel: str, sender: str, country: str) -> list[Customer]:
    spelled = normalise(channel, sender, country)
    if not spelled:
        return []
    ids = _ids_by_email(spelled) if channel == Channel.EMAIL else _ids_by_phone(channel, spelled)
    return list(Customer.objects.filter(pk__in=ids, deleted_at__isnull=True).order_by("-id"))


def _ids_by_email(spelled: str) -> set[int]:
    known = Q(email__iexact=spelled) & ~Q(email="")
    people = Contact.objects.filter(known, active=True).values_list("customer_id")
    return {pk for (pk,) in Customer.objects.filter(known).values_list("pk").union(people)[:MOST_CUSTOMERS]}


def _ids_by_phone(channel: str, spelled: str) -> set[int]:
    """Numbers are kept as their owners write them: found by their last digits, compared as E.164."""
    digits = "".join(char for char in spelled if char.isdigit())[-PHONE_DIGITS:]
    if not digits:
        return set()
    mine = Customer.objects.annotate(tail=PHONE_TAIL).filter(~Q(phone=""), tail=digits)
    theirs = Contact.objects.annotate(tail=PHONE_TAIL).filter(~Q(phone=""), tail=digits, active=True)
    rows = mine.values_list("pk", "phone", "country").union(
        theirs.values_list("customer_id", "phone", "customer__country")
    )
    alike = [pk for pk, phone, country in rows[:MOST_ALIKE] if normalise(channel, phone, country) == spelled]
    return set(alike[:MOST_CUSTOMERS])


def live_case(customer: Customer, message: Message | None) -> Case | None:
    """The customer's live case: of the message's brand, or the newest."""
    live = Case.objects.filter(customer=customer, state__in=LIVE_STATES).select_related("ladder_version", "owner")
    if message is not None:
        return live.filter(brand_id=message.brand_id).first()
    return live.order_by("-opened_at").first()
