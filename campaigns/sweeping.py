"""Owns the claims of workers that died while sending: back to the queue, or to a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from campaigns.models import Message, MessageStatus
from campaigns.outbox import MAX_TRIES, Settled, ambiguous, settle

#: A claim older than this belongs to a dead worker; a living one gives its claims back much earlier, even if its last
#: message waits for every answer of a dying server (eight of 20 s).
STUCK_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What became of the claims of dead workers."""

    requeued: int = 0
    ambiguous: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Rows dealt with."""
        return self.requeued + self.ambiguous + self.failed


def sweep(*, now: datetime, limit: int = 500) -> SweepResult:
    """Settles claims older than STUCK_AFTER: back to the queue if never handed over, else to a person.

    One that has cost its workers MAX_TRIES lives is failed: it must not stop the loop for all others.
    """
    stuck = (
        Message.objects.filter(status=MessageStatus.SENDING, claimed_at__lt=now - STUCK_AFTER)
        .select_related("step_run__step")
        .defer("html")
        .order_by("claimed_at")[:limit]
    )
    rows = [_swept(message, now) for message in stuck]
    done = settle(rows, now)
    rows = [row for row in rows if row.message.pk in done]
    counts = {status: sum(row.status == status for row in rows) for status in MessageStatus}
    return SweepResult(
        requeued=counts[MessageStatus.QUEUED],
        ambiguous=counts[MessageStatus.AMBIGUOUS],
        failed=counts[MessageStatus.FAILED],
    )


def _swept(message: Message, now: datetime) -> Settled:
    if message.text or message.subject:
        return ambiguous(message, _("The sending process ended before it could note the outcome."))
    if message.attempts >= MAX_TRIES:
        words = _("Preparing it ended the sending process %(count)s times.") % {"count": message.attempts}
        return Settled(
            message, MessageStatus.FAILED, words, counts=True, kind="message.failed", task=_("Message not sent")
        )
    return Settled(message, MessageStatus.QUEUED, "", send_at=now, counts=True)
