"""Writing to many customers from a template: the guard is asked row by row, and again when each is sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from campaigns.engine.load import Batch, Loaded, load_cases
from campaigns.guard.check import check as guard_check
from campaigns.guard.types import Blocked, Deferred
from campaigns.models import Case, CaseState, Message, MessageStatus
from campaigns.models.case import LIVE_STATES
from customers.bulk import BulkAct, Did, Params, Row, act_register
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import ActorKind, Channel, Customer
from customers.wake import wake

MODEL = "campaigns.Case"
PERMISSION = "campaigns.change_message"
DELIVER = "campaigns.tasks.deliver_due"


def _refusal(loaded: Loaded, batch: Batch, params: Params, now: datetime) -> str:
    """Why a case is not written to by this template; empty if it is. What only has to wait waits in the outbox."""
    case = loaded.snapshot
    if case.state != CaseState.OPEN:
        return _now("The case rests or has ended.")
    channel = params.get("channel", Channel.EMAIL.value)
    if "template" in params:
        text = batch.texts.get(params["template"])
        if text is None or not text.text_channel(channel):
            raise SollecitoError(_now("The template has no published text for this channel."), code="no_text")
    if channel not in loaded.addressees:
        return _now("There is no address for this channel.")
    verdict = guard_check(case.guard, channel, now)
    return verdict.reason if isinstance(verdict, Blocked) else ""


def _check(rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
    ids = [row.id for row in rows]
    live = list(Case.objects.filter(pk__in=ids, state__in=LIVE_STATES).values_list("pk", flat=True))
    found = dict.fromkeys(ids, _now("The case rests or has ended."))
    batch = load_cases(live, now)
    for loaded in batch.cases:
        # Over which channel they are written to is said by the form: counted is who may be written to at all.
        found[loaded.snapshot.case_id] = _refusal(loaded, batch, params, now) if "channel" in params else _open(loaded)
    return {pk: why for pk, why in found.items() if why}


def _open(loaded: Loaded) -> str:
    return "" if loaded.snapshot.state == CaseState.OPEN else _now("The case rests or has ended.")


def _write(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    ids = [row.id for row in rows]
    owners = Case.objects.filter(pk__in=ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    batch = load_cases(ids, now)
    channel, text = params["channel"], batch.texts.get(params["template"])
    did: dict[int, Did] = {}
    queued: list[Message] = []
    for loaded in batch.cases:
        case = loaded.snapshot
        why = _refusal(loaded, batch, params, now)
        if why or text is None:
            did[case.case_id] = Did.not_done(why)
            continue
        who = loaded.addressees[channel]
        verdict = guard_check(case.guard, channel, now)
        later = verdict if isinstance(verdict, Deferred) else None
        queued.append(
            Message(
                customer_id=case.customer_id,
                brand_id=case.brand_id,
                case_id=case.case_id,
                contact_id=who.contact_id,
                channel=channel,
                template_version_id=text.version_id,
                language=text.language(channel, who.language, loaded.customer_language, loaded.brand_language),
                recipient=who.address,
                key=f"staff:{uuid4()}",
                queued_at=now,
                send_at=later.until if later else now,
                actor_id=actor_id,
            )
        )
        did[case.case_id] = Did(reason=later.reason if later else "")
    for message in Message.objects.bulk_create(queued):
        did[message.case_id] = Did(reason=did[message.case_id].reason, before={"message": message.pk})
    record_many(
        Entry(
            customer_id=message.customer_id,
            at=now,
            kind="message.written",
            summary=_now("To be sent to %(recipient)s") % {"recipient": " ".join(message.recipient.split("\n"))},
            channel=message.channel,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"message:{message.pk}",
            data={"case": message.case_id},
        )
        for message in queued
    )
    if queued:
        wake(DELIVER)
    return did


def _check_back(rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
    by_message = {row.before["message"]: row.id for row in rows}
    left = dict(Message.objects.filter(pk__in=by_message).exclude(status="queued").values_list("pk", "status"))
    return {by_message[pk]: _left(status) for pk, status in left.items()}


def _left(status: str) -> str:
    return _now("It is not queued any more: %(status)s.") % {"status": MessageStatus(status).label}


def _call_back(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    by_message = {row.before["message"]: row.id for row in rows}
    found = list(Message.objects.filter(pk__in=by_message).order_by("pk").select_for_update())
    queued = [message for message in found if message.status == MessageStatus.QUEUED]
    reason = _now("Called back by staff.")
    Message.objects.filter(pk__in=[message.pk for message in queued]).update(
        status=MessageStatus.CANCELLED, send_at=None, reason=reason
    )
    record_many(
        Entry(
            customer_id=message.customer_id,
            at=now,
            kind="message.cancelled",
            summary=reason,
            channel=message.channel,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            outcome=MessageStatus.CANCELLED,
            subject=f"message:{message.pk}",
            data={"case": message.case_id},
        )
        for message in queued
    )
    return {
        by_message[m.pk]: Did() if m.status == MessageStatus.QUEUED else Did.not_done(_left(m.status)) for m in found
    }


act_register(
    BulkAct("cases.write", _("Write from a template"), PERMISSION, MODEL, _check, _write, undo="cases.call_back")
)
act_register(
    BulkAct("cases.call_back", _("Call back what was not sent yet"), PERMISSION, MODEL, _check_back, _call_back)
)
