"""Owns what the app below asks of segments: their names, and which of them customers are in."""

from collections.abc import Collection, Mapping
from datetime import datetime

from campaigns.models import Segment
from campaigns.segments.evaluate import segments_of


class SavedSegments:
    """Answers billing.retries.policies.Segments from the saved segments; settings.CUSTOMER_SEGMENTS names SEGMENTS."""

    def choices(self) -> list[tuple[str, str]]:
        """Code and name of every segment, by name. One query."""
        return list(Segment.objects.order_by("name").values_list("code", "name"))

    def containing(
        self, codes: Collection[str], customer_ids: Collection[int], now: datetime
    ) -> Mapping[int, frozenset[str]]:
        """Of `codes`, those each customer is in at `now` (aware UTC). Two queries."""
        known = {pk: (code, query) for pk, code, query in _rows(codes)}
        inside = segments_of({pk: query for pk, (_code, query) in known.items()}, customer_ids, now)
        return {customer: frozenset(known[pk][0] for pk in pks) for customer, pks in inside.items()}


def _rows(codes: Collection[str]) -> list[tuple[int, str, str]]:
    return list(Segment.objects.filter(code__in=codes).values_list("pk", "code", "query"))


SEGMENTS = SavedSegments()
