"""Owns the portal's links: minting them singly or for a batch of mails, looking one up, revoking it."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _

from campaigns.links import LinkRequest, MailLinks
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Direction
from portal.models import PortalLink
from portal.preferences import mail_sign

#: Stands where a token stood in what is stored.
REDACTED = "…"


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A new link with its secret, which exists here and in the message that carries it, nowhere else."""

    url: str
    token: str
    link: PortalLink


def hash_of(token: str) -> str:
    """What is stored of a token. A plain hash does: 256 random bits cannot be guessed or tabulated."""
    return hashlib.sha256(token.encode()).hexdigest()


def page_url(name: str, token: str) -> str:
    """Absolute address of one of the portal's pages, e.g. page_url("home", token)."""
    return settings.BASE_URL + reverse(f"portal:{name}", args=[token])


def _new(customer_id: int, brand_id: int, now: datetime, days: int) -> tuple[str, PortalLink]:
    token = secrets.token_urlsafe(32)
    return token, PortalLink(
        customer_id=customer_id,
        brand_id=brand_id,
        token_hash=hash_of(token),
        created_at=now,
        expires_at=now + timedelta(days=days),
    )


def link_create(
    *, customer_id: int, brand_id: int, now: datetime, days: int | None = None, actor_id: int | None = None
) -> IssuedLink:
    """Mints one link, valid for `days` (settings.PORTAL_LINK_DAYS unless told) from `now` (aware UTC).

    With `actor_id`, the member of staff who asked for it, the making is a line in the customer's log.
    """
    token, link = _new(customer_id, brand_id, now, days or settings.PORTAL_LINK_DAYS)
    with transaction.atomic():
        link.save(force_insert=True)
        if actor_id is not None:
            record(
                Entry(
                    customer_id=customer_id,
                    at=now,
                    kind="portal.link_created",
                    summary=_("A link to the payment page was made by hand."),
                    actor_kind=ActorKind.USER,
                    actor_id=actor_id,
                    subject=f"portal_link:{link.pk}",
                )
            )
    return IssuedLink(url=page_url("home", token), token=token, link=link)


def links_for_mail(requests: Sequence[LinkRequest], now: datetime) -> Mapping[int, MailLinks]:
    """Mints a link for each mail of a batch in one statement; implements campaigns.links.LinkMaker."""
    minted = {r.key: _new(r.customer_id, r.brand_id, now, settings.PORTAL_LINK_DAYS) for r in requests}
    PortalLink.objects.bulk_create([link for _token, link in minted.values()])
    return {key: _mail_links(token, mail_sign(key)) for key, (token, _link) in minted.items()}


def _mail_links(token: str, sign: str) -> MailLinks:
    home = page_url("home", token)
    return MailLinks(
        portal=home,
        pay=f"{home}#pay",
        parts=f"{home}#parts",
        update_card=page_url("card", token),
        preferences=page_url("preferences", token),
        unsubscribe=page_url("stop-mail", sign),
        redact=lambda text: text.replace(token, REDACTED).replace(sign, REDACTED),
        pay_invoice=lambda invoice_id: f"{home}?invoice={invoice_id}#pay",
    )


def link_open(*, token: str, now: datetime) -> PortalLink | None:
    """The link of a token with its customer and brand, or None: unknown, expired and revoked look alike."""
    return (
        PortalLink.objects.select_related("customer", "brand")
        .filter(token_hash=hash_of(token), revoked_at=None, expires_at__gt=now, customer__deleted_at=None)
        .first()
    )


def link_visited(*, link: PortalLink, now: datetime) -> None:
    """Counts a visit and logs it, at most one line an hour for each link."""
    with transaction.atomic():
        PortalLink.objects.filter(pk=link.pk).update(last_used_at=now, use_count=F("use_count") + 1)
        record(
            Entry(
                customer_id=link.customer_id,
                at=now,
                kind="portal.visited",
                summary=_("Opened the payment page."),
                direction=Direction.IN,
                actor_kind=ActorKind.CUSTOMER,
                subject=f"portal_link:{link.pk}",
                key=f"portal.visited:{link.pk}:{now:%Y%m%d%H}",
            )
        )


def link_revoke(*, link_id: int, actor_id: int | None, now: datetime) -> None:
    """Closes a link for good. `actor_id` is the member of staff. Raises SollecitoError if there is none such."""
    with transaction.atomic():
        link = PortalLink.objects.select_for_update().filter(pk=link_id).first()
        if link is None:
            raise SollecitoError(_("There is no such link."), code="no_such_link")
        if link.revoked_at is not None:
            return
        link.revoked_at = now
        link.save(update_fields=["revoked_at"])
        record(
            Entry(
                customer_id=link.customer_id,
                at=now,
                kind="portal.link_revoked",
                summary=_("A link to the payment page was revoked."),
                actor_kind=ActorKind.USER if actor_id else ActorKind.SYSTEM,
                actor_id=actor_id,
                subject=f"portal_link:{link.pk}",
            )
        )


def links_purge(*, now: datetime, keep_days: int = 90, limit: int = 5000) -> int:
    """Drops up to `limit` links that expired more than `keep_days` ago; returns how many."""
    expired = PortalLink.objects.filter(expires_at__lt=now - timedelta(days=keep_days)).order_by("expires_at")
    ids = list(expired.values_list("pk", flat=True)[:limit])
    PortalLink.objects.filter(pk__in=ids).delete()
    return len(ids)
