"""Owns notices inside the merchant's own product: the stored message is the notice, served by the portal's feed."""

from typing import Self

from campaigns.channels.base import Outgoing, SendResult


class InAppChannel:
    """Nothing leaves the house: the outbox row, with its text, is what the feed shows."""

    @staticmethod
    def missing() -> str:
        """Always set up; see campaigns.channels.base.Channel."""
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def send(self, outgoing: Outgoing) -> SendResult:
        """Makes the notice visible; see campaigns.channels.base.Channel."""
        return SendResult(provider_id=f"notice:{outgoing.message_id}")
