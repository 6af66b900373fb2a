"""Links as a portal would make them, for tests of what is below it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from campaigns.links import LinkRequest, MailLinks


def links_for_mail(requests: Sequence[LinkRequest], now: datetime) -> Mapping[int, MailLinks]:
    return {request.key: _links(f"secret{request.key}") for request in requests}


def _links(token: str) -> MailLinks:
    home = f"https://pay.example.com/p/{token}"
    return MailLinks(
        portal=home,
        pay=f"{home}/pay",
        parts=f"{home}#parts",
        update_card=f"{home}/card",
        preferences=f"{home}/preferences",
        unsubscribe=f"{home}/unsubscribe",
        redact=lambda text: text.replace(token, "…"),
        pay_invoice=lambda invoice_id: f"{home}/pay/{invoice_id}",
    )
