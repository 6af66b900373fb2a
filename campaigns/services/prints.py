"""Owns printing letters: a batch is made of what still may be sent, printed with a cover list, and printed again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from campaigns import typeset
from campaigns.context import load
from campaigns.engine.nudge import cases_nudge
from campaigns.guard.check import check
from campaigns.guard.types import Blocked
from campaigns.models import Case, Letter, Message, MessageStatus, PrintBatch
from campaigns.outbox import recipient_words
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import ActorKind, Direction
from customers.services import customers_reassess
from customers.visibility import among

#: Letters of one batch: what one person puts into envelopes in a morning.
MOST_LETTERS = 500


@dataclass(frozen=True, slots=True)
class PrintResult:
    """What one press made: the batch (None if nothing was left to print) and how many letters were called back."""

    batch: PrintBatch | None
    letters: int = 0
    cancelled: int = 0


def print_batch_create(
    *, actor_id: int, now: datetime, limit: int = MOST_LETTERS, customer_ids: Collection[int] | None = None
) -> PrintResult:
    """Takes the letters that wait, to `customer_ids` if given, oldest first, and asks the guard about each once more.

    What was paid, promised, paused or suppressed since is cancelled with its reason; the others make a batch and count
    as sent when `print_batch_printed` says so. Two presses at once share nothing.
    """
    theirs = Q() if customer_ids is None else among(customer_ids, path="message__customer")
    with transaction.atomic():
        waiting = list(
            Letter.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(theirs, batch__isnull=True, message__status=MessageStatus.TO_PRINT)
            .order_by("id")
            .defer("pdf")[:limit]
        )
        if not waiting:
            return PrintResult(None)
        good = _call_back(waiting, actor_id, now)
        cancelled = len(waiting) - len(good)
        if not good:
            return PrintResult(None, cancelled=cancelled)
        batch = PrintBatch.objects.create(created_at=now, created_by_id=actor_id)
        Letter.objects.filter(pk__in=[row.pk for row in good]).update(batch=batch)
    return PrintResult(batch, len(good), cancelled)


def _call_back(letters: Sequence[Letter], actor_id: int, now: datetime) -> list[Letter]:
    """Cancels the letters that may not be sent any more, with the reason, and returns the others."""
    by_message = {row.message_id: row for row in letters}
    stopped: dict[int, tuple[Message, Blocked]] = {}
    for sending in load(list(by_message), now):
        verdict = check(sending.snapshot, sending.message.channel, now)
        # Hours and gaps are for what rings or beeps; a letter takes days.
        if isinstance(verdict, Blocked):
            stopped[sending.message.pk] = (sending.message, verdict)
    customers_reassess({message.customer_id for message, _verdict in stopped.values()}, now)
    cases_nudge({message.case_id for message, _verdict in stopped.values()}, now)
    for message, verdict in stopped.values():
        Message.objects.filter(pk=message.pk, status=MessageStatus.TO_PRINT).update(
            status=MessageStatus.CANCELLED, reason=verdict.reason[:500], rule=verdict.rule
        )
    record_many(_entry(m, now, "message.cancelled", v.reason, actor_id, rule=v.rule) for m, v in stopped.values())
    return [row for row in letters if row.message_id not in stopped]


def print_batch_pdf(*, batch_id: int, actor_id: int, now: datetime) -> bytes:
    """The batch as one PDF, cover list first. Every time after the first is logged with each letter.

    The first time the guard is asked about each letter once more: batches lie overnight, and people pay. What has been
    handed out may be in the post already and stays. The cover list names those left out, and why. Raises
    SollecitoError if there is no such batch, or nothing of it is left to print.
    """
    with transaction.atomic():
        batch = PrintBatch.objects.select_for_update().filter(pk=batch_id).first()
        if batch is None:
            raise SollecitoError(_("There is no such batch."), code="no_such_batch")
        kept = Letter.objects.filter(batch=batch)
        if not batch.copies:
            waiting = list(kept.filter(message__status=MessageStatus.TO_PRINT).order_by("id").defer("pdf"))
            _call_back(waiting, actor_id, now)
        letters = list(
            kept.exclude(message__status=MessageStatus.CANCELLED)
            .select_related("message__customer", "message__contact")
            .order_by("id")
        )
        sheet = _handed_out(batch, letters, actor_id, now) if letters else None
    if sheet is None:
        raise SollecitoError(_("No letter is left to print."), code="nothing_to_print")
    return typeset.together([sheet.pdf, *(bytes(row.pdf) for row in letters)])


def _handed_out(batch: PrintBatch, letters: Sequence[Letter], actor_id: int, now: datetime) -> typeset.Sheet:
    """The cover list; that the batch was handed out is noted."""
    rows = [
        (str(place), _name(row.message), recipient_words(row.message), str(row.pages), f"#{row.message_id}")
        for place, row in enumerate(letters, start=1)
    ]
    title = _("Print batch %(number)s, %(day)s") % {"number": batch.pk, "day": f"{batch.created_at:%Y-%m-%d}"}
    cancelled = Message.objects.filter(letter_sheet__batch=batch, status=MessageStatus.CANCELLED)
    left_out = cancelled.select_related("customer", "contact").defer("html", "text").order_by("letter_sheet__id")
    sheet = typeset.cover(
        title=title,
        rows=rows,
        left_out=[(_name(message), message.reason, f"#{message.pk}") for message in left_out],
        pages=sum(row.pages for row in letters),
        at=now,
        language=get_language() or "en",
    )
    if batch.copies:
        words = _("Letter printed once more (batch %(number)s).") % {"number": batch.pk}
        record_many(_entry(row.message, now, "letter.reprinted", words, actor_id) for row in letters)
    batch.copies += 1
    batch.save(update_fields=["copies"])
    return sheet


def print_batch_printed(*, batch_id: int, actor_id: int, now: datetime) -> int:
    """A person has printed and posted the batch: its letters count as sent from `now`; returns how many.

    Raises SollecitoError if there is no such batch, it was never handed out, or it is marked already.
    """
    with transaction.atomic():
        batch = PrintBatch.objects.select_for_update().filter(pk=batch_id).first()
        if batch is None:
            raise SollecitoError(_("There is no such batch."), code="no_such_batch")
        if batch.printed_at is not None:
            raise SollecitoError(_("The batch is marked as printed already."), code="already_printed")
        if not batch.copies:
            raise SollecitoError(_("Fetch the PDF first."), code="not_fetched")
        batch.printed_at, batch.printed_by_id = now, actor_id
        batch.save(update_fields=["printed_at", "printed_by"])
        messages = list(
            Message.objects.filter(letter_sheet__batch=batch, status=MessageStatus.TO_PRINT).defer("html", "text")
        )
        # A ladder does not look for the printer every few minutes; told, it goes on.
        cases = {m.case_id for m in messages}
        cases_nudge(cases, now)
        Case.objects.filter(pk__in=cases).update(last_contact_at=now)
        Message.objects.filter(pk__in=[m.pk for m in messages]).update(status=MessageStatus.SENT, sent_at=now)
        record_many(
            _entry(
                message,
                now,
                "message.sent",
                _("Letter printed and posted to %(recipient)s.") % {"recipient": recipient_words(message)},
                actor_id,
                direction=Direction.OUT,
            )
            for message in messages
        )
    return len(messages)


def _name(message: Message) -> str:
    return (message.contact.name if message.contact else "") or str(message.customer)


def _entry(
    message: Message,
    now: datetime,
    kind: str,
    words: str,
    actor_id: int,
    *,
    rule: str = "",
    direction: str = Direction.INTERNAL,
) -> Entry:
    return Entry(
        customer_id=message.customer_id,
        at=now,
        kind=kind,
        summary=words,
        direction=direction,
        channel=message.channel,
        actor_kind=ActorKind.USER,
        actor_id=actor_id,
        outcome=kind.rpartition(".")[2],
        subject=f"message:{message.pk}",
        data={"case": message.case_id} | ({"rule": rule} if rule else {}),
    )
