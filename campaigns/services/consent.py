"""Owns what a customer's reply means for our right to write: stop words read, and put into the register."""

from datetime import datetime

from campaigns.guard.keywords import Opt, Wish, parse_opt_out
from customers.consent import Evidence, Source, opt_in_record, opt_out_record


def reply_consent(
    *,
    channel: str,
    address: str,
    text: str,
    message_ref: str,
    key: str,
    now: datetime,
    at: datetime | None = None,
    customer_id: int | None = None,
    contact_id: int | None = None,
    country: str = "",
    opt: Opt | None = None,
) -> Opt | None:
    """Records the opt-out or opt-in a reply from `address` holds, if it holds one, and returns it.

    `text` is the reply as it came; `message_ref` the provider's id of it and `key` what makes a repetition known
    (`twilio:SM…`). With `opt` the words are not read again: a provider that recognises stop words has said so. `at`
    is when it was written (aware UTC). Runs in the caller's transaction; says nothing to the customer.
    """
    opt = opt or parse_opt_out(text, channel)
    if opt is None:
        return None
    evidence = Evidence(
        source=Source.REPLY,
        text=text[:5000],
        keyword=opt.keyword,
        message_ref=message_ref,
        language=opt.language,
        key=key,
    )
    write = opt_out_record if opt.wish is Wish.OUT else opt_in_record
    write(
        channel=channel,
        address=address,
        evidence=evidence,
        now=now,
        at=at,
        customer_id=customer_id,
        contact_id=contact_id,
        country=country,
    )
    return opt
