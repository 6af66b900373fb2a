"""Owns the channel webhook of ladders: a step's message becomes an event for every endpoint that wants steps."""

from typing import Self

from django.db.models import Q

from campaigns.channels.base import ChannelError, Fate, Outgoing, SendResult
from campaigns.models import Message
from customers.wake import wake
from integrations.models import Endpoint, Event, EventDelivery
from integrations.webhooks.gather import customer_url, of_customer


class WebhookChannel:
    """Queues the event; telling it, and telling it again, is the business of integrations.webhooks.deliver."""

    @staticmethod
    def missing() -> str:
        """Always set up; see campaigns.channels.base.Channel."""
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def send(self, outgoing: Outgoing) -> SendResult:
        """Queues one message; see campaigns.channels.base.Channel. A repetition finds the first one."""
        message = Message.objects.select_related("customer__brand").get(pk=outgoing.message_id)
        endpoints = list(
            Endpoint.objects.filter(
                Q(brand__isnull=True) | Q(brand_id=message.brand_id),
                active=True,
                kind=Endpoint.Kind.WEBHOOK,
                events__contains=[Event.STEP_WEBHOOK],
            )
        )
        if not endpoints:
            raise ChannelError(
                "No endpoint is told of steps.", fate=Fate.PERMANENT, code="webhook_no_endpoint", dead_address=False
            )
        event_id = f"step:{outgoing.key}"
        payload = {
            "id": event_id,
            "type": Event.STEP_WEBHOOK.value,
            "timestamp": outgoing.at.isoformat(),
            "customer": of_customer(message.customer),
            "summary": outgoing.subject,
            "subject": f"message:{message.pk}",
            "data": {
                "case": message.case_id,
                "template": outgoing.template,
                "language": outgoing.language,
                "text": outgoing.text,
                "amount": outgoing.amount,
                "link": outgoing.link,
            },
            "url": customer_url(message.customer_id),
        }
        EventDelivery.objects.bulk_create(
            [
                EventDelivery(
                    endpoint=endpoint,
                    event_id=event_id,
                    kind=Event.STEP_WEBHOOK,
                    payload=payload,
                    created_at=outgoing.at,
                    next_at=outgoing.at,
                )
                for endpoint in endpoints
            ],
            ignore_conflicts=True,
        )
        wake("integrations.tasks.deliver_events")
        return SendResult(provider_id=event_id[:255])
