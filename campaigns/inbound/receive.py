"""Owns what follows from an incoming message: stored once, logged, a task, a rest of the ladder, an opt-out.

Told twice (providers repeat what they get no answer to) it is known by its outside id and changes nothing. Nothing is
answered from here: two machines that answer each other never stop.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.engine.calendar import in_words
from campaigns.guard.keywords import Opt, Wish, parse_opt_out
from campaigns.guard.zones import zone, zone_name
from campaigns.inbound import attachments, match
from campaigns.inbound.attachments import Attached
from campaigns.models import Case, CaseState, InboundKind, InboundMessage, Task
from campaigns.services.consent import reply_consent
from campaigns.worklist.marks import work_mark
from customers.log import Entry, record
from customers.models import ActorKind, Channel, Customer, Direction

log = logging.getLogger(__name__)

#: Rest after a reply where the ladder says nothing of its own.
PAUSE_DAYS = 3
#: Characters of a message that are kept; people write less.
MOST_TEXT = 50_000
_MACHINES = frozenset({InboundKind.AUTO_REPLY, InboundKind.OUT_OF_OFFICE, InboundKind.BOUNCE})
#: Twilio's Advanced Opt-Out has acted already and says by which word.
_PROVIDERS_WISH = {"STOP": Wish.OUT, "START": Wish.IN}


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as its provider told it. `at` is aware UTC; `external_id` names it for good."""

    channel: str
    external_id: str
    at: datetime
    sender: str
    text: str
    recipient: str = ""
    subject: str = ""
    kind: InboundKind = InboundKind.HUMAN
    #: Addresses it was sent to, for the sign in them; Message-IDs it answers, newest first.
    signs: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    attachments: tuple[Attached, ...] = ()
    notes: tuple[str, ...] = ()
    #: STOP or START where the provider itself took the word for an opt-out or its end.
    provider_opt: str = ""
    country: str = ""


def inbound_record(*, told: Incoming, now: datetime) -> InboundMessage | None:
    """Stores a message and what follows from it, in one transaction; None if it was known already.

    A person's reply is logged, opens a task and lets the ladder rest; an opt-out word goes into the register; an
    automatic reply is logged and does nothing else.
    """
    text = clean(told.text)[:MOST_TEXT]
    with transaction.atomic():
        if InboundMessage.objects.filter(channel=told.channel, external_id=told.external_id[:255]).exists():
            return None
        found = match.find(
            channel=told.channel,
            sender=told.sender,
            signs=told.signs,
            references=told.references,
            country=told.country,
        )
        if found is not None:
            # Customer before case: the order in which the engine takes its locks.
            Customer.objects.select_for_update(no_key=True).get(pk=found.customer.pk)
        opt = None if told.kind in _MACHINES else _opt(told, text)
        kind = told.kind
        if opt is not None:
            kind = InboundKind.OPT_OUT if opt.wish is Wish.OUT else InboundKind.OPT_IN
        inbound, new = InboundMessage.objects.get_or_create(
            channel=told.channel,
            external_id=told.external_id[:255],
            defaults={
                "kind": kind,
                "received_at": told.at,
                "sender": clean(told.sender)[:320],
                "recipient": clean(told.recipient)[:320],
                "subject": " ".join(clean(told.subject).split())[:500],
                "text": text,
                "customer": found.customer if found else None,
                "message": found.message if found else None,
                "case": found.case if found else None,
                "matched_by": found.by if found else "",
            },
        )
        if not new:
            return None
        notes = [*told.notes, *attachments.keep(inbound, told.attachments)]
        if opt is not None:
            _consent(inbound, opt, now)
        if found is None:
            log.info("inbound: %s message %s is of nobody we know", told.channel, inbound.pk)
            return inbound
        follow(inbound, found, notes, now)
    return inbound


def follow(inbound: InboundMessage, found: match.Match, notes: list[str], now: datetime) -> None:
    """What follows once it is known whose a message is; in the caller's transaction, the customer locked."""
    _tell(inbound, notes)
    if inbound.kind == InboundKind.HUMAN:
        _task(inbound, found, notes, now)
        if found.case is not None:
            _rest(found.case, now)
        work_mark([found.customer.pk], now)


def clean(text: str) -> str:
    """Without what PostgreSQL cannot hold (NUL, halves of characters) and terminals should not be shown."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(char for char in whole if char in "\n\t" or char >= " ").strip()


def _opt(told: Incoming, text: str) -> Opt | None:
    wish = _PROVIDERS_WISH.get(told.provider_opt)
    return Opt(wish, told.provider_opt.lower(), "en") if wish else parse_opt_out(text, told.channel)


def _consent(inbound: InboundMessage, opt: Opt, now: datetime) -> None:
    addresses = {inbound.sender}
    # Who answers from another mailbox means the one we wrote to as well.
    if inbound.message is not None and inbound.matched_by != "address":
        addresses.add(inbound.message.recipient)
    for number, address in enumerate(sorted(addresses)):
        reply_consent(
            channel=inbound.channel,
            address=address,
            text=inbound.text,
            message_ref=inbound.external_id,
            key=f"inbound:{inbound.pk}:{number}",
            now=now,
            at=inbound.received_at,
            customer_id=inbound.customer_id,
            country=inbound.customer.country if inbound.customer else "",
            opt=opt,
        )


_WORDS = {
    InboundKind.HUMAN: "reply.received",
    InboundKind.AUTO_REPLY: "reply.automatic",
    InboundKind.OUT_OF_OFFICE: "reply.automatic",
    InboundKind.OPT_OUT: "reply.opt_out",
    InboundKind.OPT_IN: "reply.opt_in",
    InboundKind.BOUNCE: "reply.automatic",
}


def _tell(inbound: InboundMessage, notes: list[str]) -> None:
    assert inbound.customer_id is not None
    kind = InboundKind(inbound.kind)
    person = kind not in _MACHINES
    body = "\n\n".join(part for part in (inbound.text, *notes) if part)
    record(
        Entry(
            customer_id=inbound.customer_id,
            at=inbound.received_at,
            kind=_WORDS[kind],
            summary=_("%(what)s from %(sender)s: %(subject)s")
            % {
                "what": kind.label,
                "sender": inbound.sender,
                "subject": inbound.subject or " ".join(inbound.text.split())[:120],
            },
            body=body,
            direction=Direction.IN,
            channel=inbound.channel,
            actor_kind=ActorKind.CUSTOMER if person else ActorKind.SYSTEM,
            outcome=kind,
            subject=f"case:{inbound.case_id}" if inbound.case_id else f"inbound:{inbound.pk}",
            data={"inbound": inbound.pk, "message": inbound.message_id, "matched_by": inbound.matched_by},
            key=f"inbound:{inbound.pk}",
        )
    )


def _task(inbound: InboundMessage, found: match.Match, notes: list[str], now: datetime) -> None:
    customer_id, case = found.customer.pk, found.case
    words = "\n\n".join(part for part in (inbound.subject, inbound.text[:2000], *notes) if part)
    # One conversation, one task: the second mail of an hour goes to the first one's.
    waiting = Task.objects.select_for_update().filter(
        customer_id=customer_id, status=Task.Status.OPEN, key__startswith=f"reply:{customer_id}:"
    )
    task = waiting.first()
    if task is not None:
        Task.objects.filter(pk=task.pk).update(
            notes=f"{task.notes}\n\n— {inbound.received_at:%Y-%m-%d %H:%M} —\n{words}"
        )
        return
    Task.objects.create(
        customer_id=customer_id,
        case=case,
        kind=Task.Kind.REVIEW,
        title=_("The customer wrote (%(channel)s)") % {"channel": Channel(inbound.channel).label},
        notes=words,
        due_at=now,
        created_at=now,
        assignee=case.owner if case else None,
        key=f"reply:{customer_id}:{inbound.pk}",
    )


def _rest(case: Case, now: datetime) -> None:
    """Lets an open case rest: who has just written is not pressed again before somebody has answered."""
    days = getattr(case.ladder_version, "pause_after_reply_days", PAUSE_DAYS)
    if not days:
        return
    until = now + timedelta(days=days)
    rested = Case.objects.filter(pk=case.pk, state=CaseState.OPEN).update(
        state=CaseState.PAUSED,
        rests_until=until,
        next_action_at=until,
        rest_reason=_("The customer wrote."),
        next_action_reason=_("Rests after a reply of the customer."),
    )
    if not rested:
        # A rest of the same kind is prolonged; one that staff or a promise set is theirs.
        Case.objects.filter(
            pk=case.pk, state=CaseState.PAUSED, rest_reason=_("The customer wrote."), rests_until__lt=until
        ).update(rests_until=until, next_action_at=until)
        return
    tz = zone(zone_name(timezone=case.customer.timezone, country=case.customer.country, brand_timezone=""))
    record(
        Entry(
            customer_id=case.customer_id,
            at=now,
            kind="case.rested",
            summary=_("Rests until %(until)s: the customer wrote.") % {"until": in_words(until, tz)},
            subject=f"case:{case.pk}",
        )
    )
