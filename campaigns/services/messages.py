"""Owns what staff may do with single messages: call back a queued one, settle or send again an uncertain one."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Case, Message, MessageStatus, Task
from campaigns.models.message import TRANSITIONS
from campaigns.outbox import task_key_of
from campaigns.services.tasks import tasks_close
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record
from customers.models import ActorKind
from customers.wake import wake


def message_cancel(*, message_id: int, actor_id: int, reason: str, now: datetime) -> Message:
    """Calls back a message that is still queued. Raises SollecitoError if it has left, or is just leaving."""
    with transaction.atomic():
        message = _locked(message_id, {MessageStatus.QUEUED}, MessageStatus.CANCELLED)
        message.send_at = None
        message.reason = reason[:500] or _("Called back by staff.")
        message.save(update_fields=["status", "send_at", "reason"])
        _record(message, actor_id, now, "message.cancelled", message.reason)
    return message


def message_resend(*, message_id: int, actor_id: int, now: datetime) -> Message:
    """Queues a failed or uncertain message once more, as a person's own decision; its text is written anew.

    The guard is asked again as for any other. Raises SollecitoError for a message in any other state: one that
    is being sent, or was, is never sent twice.
    """
    with transaction.atomic():
        message = _locked(message_id, {MessageStatus.FAILED, MessageStatus.AMBIGUOUS}, MessageStatus.QUEUED)
        message.subject = message.html = message.text = message.reason = message.rule = ""
        message.send_at, message.claimed_at, message.attempts = now, None, 0
        message.save(
            update_fields=[
                "status", "subject", "html", "text", "reason", "rule", "send_at", "claimed_at", "attempts",
            ]
        )  # fmt: skip
        _close_tasks(message, now)
        _record(message, actor_id, now, "message.resend", _("To be sent once more to %s.") % message.recipient)
        wake("campaigns.tasks.deliver_due")
    return message


def message_confirm_sent(*, message_id: int, actor_id: int, now: datetime) -> Message:
    """Settles an uncertain message as sent: a person has found it with the provider or the customer."""
    with transaction.atomic():
        message = _locked(message_id, {MessageStatus.AMBIGUOUS}, MessageStatus.SENT)
        message.sent_at = message.claimed_at or now
        message.save(update_fields=["status", "sent_at"])
        _close_tasks(message, now)
        _record(message, actor_id, now, "message.confirmed", _("Found to have been sent to %s.") % message.recipient)
    return message


def _locked(message_id: int, sources: set[MessageStatus], target: MessageStatus) -> Message:
    """The message, locked after its case, as the loops do it, and about to be `target`."""
    Case.objects.select_for_update(no_key=True, of=("self",)).filter(messages=message_id).order_by().first()
    message = Message.objects.select_for_update().filter(pk=message_id).first()
    if message is None:
        raise SollecitoError(_("There is no such message."), code="no_such_message")
    if message.status not in sources:
        raise SollecitoError(
            _("A message that is “%(status)s” cannot be made “%(target)s”.")
            % {"status": message.get_status_display(), "target": target.label},
            code="illegal_transition",
        )
    check_transition(TRANSITIONS, what="Message", source=message.status, target=target)
    message.status = target
    return message


def _close_tasks(message: Message, now: datetime) -> None:
    tasks_close(tasks=Task.objects.filter(key=task_key_of(message)), status=Task.Status.DONE, now=now)


def _record(message: Message, actor_id: int, now: datetime, kind: str, summary: str) -> None:
    record(
        Entry(
            customer_id=message.customer_id,
            at=now,
            kind=kind,
            summary=summary,
            channel=message.channel,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            outcome=message.status,
            subject=f"message:{message.pk}",
            data={"case": message.case_id},
        )
    )
