"""Owns what a customer decides about our writing: the language, and whether we write at all."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.template.loader import get_template

from campaigns.models import Message
from customers.addresses import normalise
from customers.consent import Evidence, Source, opt_in_record, opt_out_record
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Channel, ConsentEvent, Contact, Customer, Direction, Suppression
from customers.models.customer import LANGUAGES

#: Signs the number of a mail in its List-Unsubscribe address. It never expires: who finds an old mail may refuse.
_mails = Signer(salt="portal.unsubscribe")


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
    """Every e-mail address we may write to for this customer, as suppressions spell them, each once."""
    contacts = Contact.objects.filter(customer=customer, active=True).exclude(email="")
    found = [customer.email, *contacts.values_list("email", flat=True)]
    return list(dict.fromkeys(normalise(Channel.EMAIL, address) for address in found if address))


def unsubscribed(customer: Customer) -> bool:
    """Whether none of the customer's addresses may be written to."""
    addresses = addresses_of(customer)
    silent = Suppression.objects.filter(channel=Channel.EMAIL, address__in=addresses, lifted_at=None)
    return bool(addresses) and silent.count() == len(addresses)


def may_return(customer: Customer) -> bool:
    """Whether an address is silent because its owner asked for it, and only for that: they may ask for it back."""
    return Suppression.objects.filter(
        channel=Channel.EMAIL,
        address__in=addresses_of(customer),
        lifted_at=None,
        reason=Suppression.Reason.OPT_OUT,
    ).exists()


@lru_cache(maxsize=64)
def wording(template: str, language: str) -> str:
    """Names the wording of a page: changes with its text, so that the register shows what people had before them."""
    source = get_template(template).template.source  # type: ignore[attr-defined]
    return f"{template}:{language}:{hashlib.sha256(source.encode()).hexdigest()[:10]}"


def unsubscribe(*, customer: Customer, now: datetime, ip: str = "", language: str = "en") -> None:
    """Records that none of the customer's addresses may be written to. The link does not tell which of them it was
    sent to; silencing one too many is mended by a call, one too few is a complaint. Asked twice it is one refusal."""
    _say(opt_out_record, "portal/unsubscribe.html", "stop", customer, now, ip, language)


def resubscribe(*, customer: Customer, now: datetime, ip: str = "", language: str = "en") -> None:
    """Records that the customer's addresses may be written to again. Bounces, complaints and staff's word stay."""
    _say(opt_in_record, "portal/preferences.html", "write to me again", customer, now, ip, language)


def _say(
    decide: Callable[..., ConsentEvent],
    page: str,
    button: str,
    customer: Customer,
    now: datetime,
    ip: str,
    language: str,
) -> None:
    evidence = Evidence(
        source=Source.PORTAL,
        text=f"Pressed “{button}” on the payment page.",
        ip=ip or None,
        wording=wording(page, language),
        language=language,
    )
    with transaction.atomic():
        for address in addresses_of(customer):
            decide(
                channel=Channel.EMAIL,
                address=address,
                customer_id=customer.pk,
                evidence=evidence,
                now=now,
                unless_known=True,
            )


def mail_sign(message_id: int) -> str:
    """What stands for a mail in its List-Unsubscribe address."""
    return _mails.sign(str(message_id))


def mail_of(sign: str) -> Message | None:
    """The mail of such a sign; None if it was altered or the mail is gone."""
    try:
        number = int(_mails.unsign(sign))
    except (BadSignature, ValueError):
        return None
    return Message.objects.select_related("customer", "brand").filter(pk=number).first()


def mail_refused(message: Message) -> bool:
    """Whether the address a mail went to may no longer be written to."""
    address = normalise(message.channel, message.recipient, message.customer.country)
    return Suppression.objects.filter(channel=message.channel, address=address, lifted_at=None).exists()


def mail_refuse(*, message: Message, now: datetime, ip: str = "", one_click: bool = False, language: str = "") -> None:
    """Records that the address this mail went to wants no more. Asked twice it is one refusal."""
    opt_out_record(
        channel=message.channel,
        address=message.recipient,
        country=message.customer.country,
        customer_id=message.customer_id,
        contact_id=message.contact_id,
        evidence=Evidence(
            source=Source.ONE_CLICK if one_click else Source.PORTAL,
            text="List-Unsubscribe=One-Click" if one_click else "Pressed “stop” on the page a mail led to.",
            message_ref=message.key,
            ip=ip or None,
            wording="" if one_click else wording("portal/unsubscribe.html", language),
            language=language,
        ),
        now=now,
        unless_known=True,
    )
