"""Owns which retry settings hold for which customer: by segment, in order, one answer for a whole batch."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from billing.models import RetryPolicy

Strategy = RetryPolicy.Strategy


class Segments(Protocol):
    """What settings.CUSTOMER_SEGMENTS names: segments belong to a higher app, which this one may not import."""

    def choices(self) -> list[tuple[str, str]]:
        """Code and name of every segment."""

    def containing(
        self, codes: Collection[str], customer_ids: Collection[int], now: datetime
    ) -> Mapping[int, Collection[str]]:
        """Of `codes`, those of the segments each customer is in at `now` (aware UTC).

        Called once per batch; the number of queries may not grow with the customers. Unknown codes contain nobody.
        """


@dataclass(frozen=True, slots=True)
class Terms:
    """How a customer's charges are retried. None stands for the processor account's own number.

    `explore` is the share of retries drawn by lot for others than the champion, 0 to 0.5. `name` is empty where no
    setting fits.
    """

    name: str = ""
    max_attempts: int | None = None
    window_days: int | None = None
    strategy: str = Strategy.BEST
    explore: float = 0.1


#: Where no setting fits.
DEFAULT_TERMS = Terms()


@lru_cache(maxsize=8)
def _named(path: str) -> Segments:
    named: Segments = import_string(path)
    return named


def segments() -> Segments:
    """What settings.CUSTOMER_SEGMENTS names. Raises ImportError if there is none."""
    return _named(settings.CUSTOMER_SEGMENTS)


def terms_for(customer_ids: Collection[int], now: datetime) -> dict[int, Terms]:
    """The settings of each customer that any setting fits, at `now` (aware UTC).

    One query without segments in use, a constant number with them. A segment that is gone contains nobody, so its
    customers fall to the next setting.
    """
    policies = list(RetryPolicy.objects.filter(active=True).order_by("order", "id"))
    codes = {policy.segment for policy in policies if policy.segment}
    members = segments().containing(codes, customer_ids, now) if codes and customer_ids else {}
    found: dict[int, Terms] = {}
    for customer_id in customer_ids:
        mine = members.get(customer_id, ())
        fitting = next((p for p in policies if not p.segment or p.segment in mine), None)
        if fitting is not None:
            found[customer_id] = Terms(
                name=fitting.name,
                max_attempts=fitting.max_attempts,
                window_days=fitting.window_days,
                strategy=fitting.strategy,
                explore=fitting.explore_percent / 100,
            )
    return found
