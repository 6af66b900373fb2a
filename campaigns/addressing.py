"""Owns whom a message goes to, chosen once more as it is about to leave: contacts change while messages wait."""

from collections import defaultdict
from collections.abc import Sequence

from campaigns.engine.addressees import addressees
from campaigns.guard.check import ADDRESSED
from campaigns.models import Message, MessageStatus
from customers.models import Contact


def readdress(messages: Sequence[Message]) -> None:
    """Gives claimed messages the recipient, contact and language they would have if they were queued now; one query.

    A corrected address counts and a contact put out of use does not, however long the guard had put the message off.
    Without any address left the recipient is empty, which the guard forbids. Letters ready to be printed stay as they
    are. The messages' customers are loaded; the rows are not written.
    """
    claimed = [row for row in messages if row.status == MessageStatus.SENDING and row.channel in ADDRESSED]
    people: dict[int, list[Contact]] = defaultdict(list)
    owners = {row.customer_id for row in claimed}
    # In the order `addressees` asks for: the best comes last.
    for contact in Contact.objects.filter(customer_id__in=owners, active=True).order_by("is_primary", "-id"):
        people[contact.customer_id].append(contact)
    for message in claimed:
        customer, own = message.customer, people[message.customer_id]
        rows = [(c.customer_id, c.pk, c.email, c.phone, c.language) for c in own]
        reached = addressees(customer.email, customer.phone, customer.language, rows, customer.postal_address)
        who = reached.get(message.channel)
        address, contact_id = (who.address, who.contact_id) if who is not None else ("", None)
        if (message.recipient, message.contact_id) == (address, contact_id):
            continue
        message.recipient = address
        message.contact = next((c for c in own if c.pk == contact_id), None)
        message.language = (who.language if who is not None else "") or message.language
