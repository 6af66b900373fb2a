"""Owns the customer's log as evidence: a PDF to read and, inside it, the exact lines its hashes were made of.

Every line has the SHA-256 of its own bytes and a chain hash over all lines before it, so that none can be changed,
left out or moved without the last one showing it. docs/customer-page.md says how to check it without this program.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from pypdf import PdfReader, PdfWriter

from campaigns import typeset
from campaigns.models import Message
from customers.errors import SollecitoError
from customers.kinds import label
from customers.log import Entry, record
from customers.models import ActorKind, Customer, Interaction

#: Lines of one document; more are asked for period by period.
MOST_LINES = 5_000
#: Name of the file inside the PDF.
LINES_FILE = "log.jsonl"
#: What the chain begins with.
START = "0" * 64
_LINE = ("id", "at", "kind", "direction", "channel", "actor_kind", "summary", "body", "outcome", "subject", "data")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finished document: its PDF, its own name, and the hash of the whole log in it."""

    pdf: bytes
    name: str
    log_hash: str
    lines: int
    messages: int


@dataclass(frozen=True, slots=True)
class _Hashed:
    entry: Interaction
    text: str
    own: str
    chain: str


def evidence_export(
    *, customer_id: int, actor_id: int, now: datetime, since: datetime | None = None, until: datetime | None = None
) -> Evidence:
    """The customer's log from `since` to before `until` (aware UTC; all of it unless told) as it stands at `now`,
    oldest line first, with every message as it was sent. That it was exported, by whom and with which hash, is a line
    in the log from then on.

    Raises SollecitoError for an empty log, and for one of more than MOST_LINES lines.
    """
    customer = Customer.objects.select_related("brand").get(pk=customer_id)
    actor = get_user_model().objects.get(pk=actor_id)
    rows = Interaction.objects.filter(customer=customer).select_related("actor")
    rows = rows.filter(at__gte=since) if since else rows
    rows = rows.filter(at__lt=until) if until else rows
    entries = list(rows.order_by("at", "id")[: MOST_LINES + 1])
    if not entries:
        raise SollecitoError(_("There is nothing in the log of that time."), code="log_empty")
    if len(entries) > MOST_LINES:
        raise SollecitoError(
            _("More than %(most)d entries: choose a shorter time.") % {"most": MOST_LINES}, code="log_too_long"
        )
    messages = _messages(customer, entries)
    hashed = list(_chain(entries, {pk: message_hash(row) for pk, row in messages.items()}))
    log_hash = hashed[-1].chain
    title = _("Communication log of %(customer)s") % {"customer": customer}
    facts = [
        (_("Customer"), f"{customer} · {customer.external_id or f'#{customer.pk}'}"),
        (_("Creditor"), " · ".join([customer.brand.name, *customer.brand.postal_address.splitlines()])),
        (_("Time"), f"{_moment(entries[0].at)} – {_moment(entries[-1].at)}"),
        (_("Entries"), _entries(customer, len(entries))),
        (_("Messages as sent"), str(len(messages))),
        (_("Exported by"), f"{actor.get_full_name() or actor.get_username()} ({actor.get_username()})"),
        (_("Exported at"), _moment(now)),
        (_("SHA-256 of the log"), log_hash),
    ]
    sheet = typeset.evidence(
        title=title,
        facts=facts,
        lines=[_shown(row) for row in hashed],
        messages=[_shown_message(row) for row in messages.values()],
        log_hash=log_hash,
        at=now,
        language=get_language() or "en",
    )
    pdf = _with_lines(sheet.pdf, hashed, title)
    record(
        Entry(
            customer_id=customer.pk,
            at=now,
            kind="log.exported",
            summary=_("The log was exported as evidence: %(count)d entries.") % {"count": len(entries)},
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            data={"sha256": log_hash, "lines": len(entries), "first": entries[0].pk, "last": entries[-1].pk},
        )
    )
    return Evidence(pdf, f"log-{customer.pk}-{now:%Y%m%d}.pdf", log_hash, len(entries), len(messages))


def _entries(customer: Customer, told: int) -> str:
    """How many entries, and of how many where only a part of the log was asked for."""
    every = Interaction.objects.filter(customer=customer).count()
    return str(told) if told == every else _("%(told)d of %(every)d: the other times are not in here") % {
        "told": told, "every": every
    }  # fmt: skip


def message_hash(message: Message) -> str:
    """SHA-256 of a message as it was sent: subject, text part and HTML part, each followed by a zero byte."""
    return hashlib.sha256(
        "".join(f"{part}\0" for part in (message.subject, message.text, message.html)).encode()
    ).hexdigest()


def verify(lines: Iterable[str]) -> str:
    """The chain hash over lines as they stand in LINES_FILE; what the document's must be."""
    chain = START
    for line in lines:
        chain = hashlib.sha256((chain + line).encode()).hexdigest()
    return chain


def _messages(customer: Customer, entries: Iterable[Interaction]) -> dict[int, Message]:
    """The messages the entries tell of that have a text, by id."""
    ids = {int(e.subject[8:]) for e in entries if e.subject.startswith("message:") and e.subject[8:].isdecimal()}
    rows: QuerySet[Message] = Message.objects.filter(pk__in=ids, customer=customer).exclude(text="", html="")
    return {row.pk: row for row in rows.order_by("sent_at", "id")}


def _chain(entries: Iterable[Interaction], hashes: Mapping[int, str]) -> Iterator[_Hashed]:
    chain = START
    for entry in entries:
        values: dict[str, Any] = {name: getattr(entry, name) for name in _LINE}
        values["at"] = entry.at.isoformat()
        values["actor"] = entry.actor.get_username() if entry.actor else ""
        name, _colon, key = entry.subject.partition(":")
        if name == "message" and key.isdecimal() and int(key) in hashes:
            values["message_sha256"] = hashes[int(key)]
        text = json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        chain = hashlib.sha256((chain + text).encode()).hexdigest()
        yield _Hashed(entry, text, hashlib.sha256(text.encode()).hexdigest(), chain)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _shown(row: _Hashed) -> dict[str, str]:
    entry = row.entry
    who = str(entry.actor or entry.get_actor_kind_display())
    return {
        "at": _moment(entry.at),
        "kind": label(entry.kind),
        "who": " · ".join(
            filter(None, (who, str(entry.get_direction_display()), entry.channel and str(entry.get_channel_display())))
        ),
        "summary": entry.summary,
        "body": entry.body,
        "hash": row.own,
    }


def _shown_message(message: Message) -> dict[str, str]:
    return {
        "title": f"#{message.pk} · {message.subject or message.get_channel_display()}",
        "facts": " · ".join(
            filter(
                None,
                (
                    str(message.get_channel_display()),
                    message.recipient,
                    _moment(message.sent_at) if message.sent_at else "",
                    str(message.get_status_display()),
                    _("opened %(when)s") % {"when": _moment(message.first_opened_at)}
                    if message.first_opened_at
                    else "",
                    _("clicked %(when)s") % {"when": _moment(message.first_clicked_at)}
                    if message.first_clicked_at
                    else "",
                ),
            )
        ),
        "text": message.text,
        "hash": message_hash(message),
    }


def _with_lines(pdf: bytes, hashed: Iterable[_Hashed], title: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    writer.add_attachment(LINES_FILE, "".join(f"{row.text}\n" for row in hashed).encode())
    writer.add_metadata({"/Title": title})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
