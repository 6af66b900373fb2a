"""A Celery application whose loops take work without claiming it: the control of the killed-worker test.

What a loop without claims looks like: it lists what is due and acts on each. Both workers wait for one another when
they have listed, so that they are sure to work on the same rows.
"""

import os
import time
from datetime import datetime
from pathlib import Path

from dunning_site.celery import app  # noqa: F401 (found by celery -A)

_MEETING = Path(os.environ["SOLLECITO_VAR"])
_SECONDS = 30


def meet(place: str, parties: int = 2) -> None:
    """Waits until as many processes are here."""
    (_MEETING / f"{place}-{os.getpid()}").touch()
    deadline = time.monotonic() + _SECONDS
    while len(list(_MEETING.glob(f"{place}-*"))) < parties:
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody else came to {place}")
        time.sleep(0.005)


def _forget_the_claims() -> None:
    from billing import charging
    from billing.attempts import Order, order_of
    from billing.models import AttemptStatus, Invoice, PaymentAttempt
    from campaigns import outbox
    from campaigns.models import Message, MessageStatus

    def take_attempt(attempt_id: int, invoice_id: int, now: datetime) -> Order:
        meet("charges")
        rows = PaymentAttempt.objects.filter(pk=attempt_id)
        rows.update(status=AttemptStatus.IN_FLIGHT, claimed_at=now, at=now)
        return order_of(rows.select_related("payment_method").get(), Invoice.objects.get(pk=invoice_id))

    def take_messages(now: datetime, limit: int) -> list[int]:
        due = Message.objects.filter(status=MessageStatus.QUEUED, send_at__lte=now).order_by("send_at", "id")
        ids = list(due.values_list("pk", flat=True)[:limit])
        meet("mails")
        Message.objects.filter(pk__in=ids).update(status=MessageStatus.SENDING, claimed_at=now)
        return ids

    def hand_over(message: Message, *, subject: str, html: str, text: str, language: str) -> bool:
        Message.objects.filter(pk=message.pk).update(subject=subject, html=html, text=text, language=language)
        return True

    charging._claim = take_attempt
    outbox.claim = take_messages
    outbox.hand_over = hand_over


app.on_after_finalize.connect(lambda **_: _forget_the_claims(), weak=False)
