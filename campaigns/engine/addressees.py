"""Whom a case writes to on each channel: a contact's address, or the customer's own."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from customers.models import Channel

_EMAIL = Channel.EMAIL.value
_CALL = Channel.CALL.value
_SMS = Channel.SMS.value
_WHATSAPP = Channel.WHATSAPP.value
_LETTER = Channel.LETTER.value
#: Channels that reach the customer without an address.
_UNADDRESSED = (Channel.IN_APP.value, Channel.WEBHOOK.value)
_CONTACTS = """
    SELECT customer_id, id, email, phone, language
      FROM customers_contact
     WHERE customer_id = ANY(%s::bigint[]) AND active
     ORDER BY customer_id, is_primary, id DESC
"""


class Addressee(NamedTuple):
    """Whom a case writes to on which address; `contact_id` is None where the customer's own address is used."""

    contact_id: int | None
    address: str
    language: str


def load_people(cursor: Any, customer_ids: str) -> dict[int, list[tuple[Any, ...]]]:
    """Rows of active contacts by customer, for `addressees`; `customer_ids` as an array literal. One query."""
    cursor.execute(_CONTACTS, [customer_ids])
    people: dict[int, list[tuple[Any, ...]]] = {}
    for row in cursor.fetchall():
        people.setdefault(row[0], []).append(row)
    return people


def addressees(
    email: str, phone: str, language: str, people: Sequence[tuple[Any, ...]], postal: str = ""
) -> dict[str, Addressee]:
    """By channel: the primary contact's address, else another contact's, else the customer's own. Letters go to the
    customer's postal address; notices in the product and webhooks need none."""
    found: dict[str, Addressee] = dict.fromkeys(_UNADDRESSED, Addressee(None, "", language))
    if postal:
        found[_LETTER] = Addressee(None, postal, language)
    if email:
        found[_EMAIL] = Addressee(None, email, language)
    if phone:
        found[_CALL] = found[_SMS] = found[_WHATSAPP] = Addressee(None, phone, language)
    # Sorted so that the best comes last and stays.
    for _customer, contact_id, contact_email, contact_phone, contact_language in people:
        if contact_email:
            found[_EMAIL] = Addressee(contact_id, contact_email, contact_language or language)
        if contact_phone:
            found[_CALL] = Addressee(contact_id, contact_phone, contact_language or language)
            found[_SMS] = found[_WHATSAPP] = found[_CALL]
    return found
