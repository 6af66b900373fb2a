"""Owns the one spelling of an e-mail address and a telephone number by which two of them are the same."""

from functools import lru_cache

import idna
import phonenumbers

from customers.models.contact import Channel

_TELEPHONE = frozenset({Channel.SMS, Channel.WHATSAPP, Channel.CALL})


@lru_cache(maxsize=10_000)
def normalise(channel: str, address: str, country: str = "") -> str:
    """The address as suppressions hold it: lower-case e-mail with an ASCII domain, telephone in E.164.

    `country` (ISO 3166, two letters) reads telephone numbers written without their country's code. What cannot
    be read as an address of the channel comes back trimmed and in lower case: a list of addresses not to be
    used must be able to hold any of them.
    """
    address = address.strip()
    if channel == Channel.EMAIL:
        return _email(address)
    if channel in _TELEPHONE:
        return _telephone(address, country) or address.lower()
    return address.lower()


def _email(address: str) -> str:
    if address.isascii():
        return address.lower()  # IDNA would leave it at that, slowly
    local, at, domain = address.rpartition("@")
    if not at:
        return address.lower()
    try:
        domain = idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        domain = domain.lower()
    return f"{local.lower()}@{domain.lower()}"


def _telephone(number: str, country: str) -> str:
    try:
        parsed = phonenumbers.parse(number, country.upper() or None)
    except phonenumbers.NumberParseException:
        return ""
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
