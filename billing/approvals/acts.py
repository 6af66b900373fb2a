"""Owns the register of acts that may need a second person; apps add theirs when they are loaded (`act_register`)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.models import Adjustment
from customers.errors import SollecitoError

Words = Any  # str or lazy translation


def adjusted(kind: str) -> Callable[[int, Collection[int], str, datetime], int]:
    """A `spent` of acts that write adjustments of one kind."""

    def given(actor_id: int, customer_ids: Collection[int], currency: str, since: datetime) -> int:
        """Minor units of `currency` this person put on these customers' invoices as adjustments of the kind."""
        rows = Adjustment.objects.filter(
            kind=kind, actor_id=actor_id, at__gt=since, invoice__customer_id__in=list(customer_ids)
        )
        return sum(rows.filter(invoice__currency=currency).values_list("amount", flat=True))

    return given


@dataclass(frozen=True, slots=True)
class Act:
    """Something that gives money up.

    `run(payload, amounts, actor_id, now)` does it for who asked, within the caller's transaction, and returns what was
    done in words. `amounts` (minor units by currency) is the most that was approved: more is to be refused with a
    SollecitoError, and so is whatever no longer fits. `spent(actor_id, customer_ids, currency, since)` tells what the
    person gave up on these customers since then; it counts against the limit.
    """

    slug: str
    label: Words
    #: What asking for it needs.
    permission: str
    run: Callable[[Mapping[str, Any], Mapping[str, int], int, datetime], str]
    spent: Callable[[int, Collection[int], str, datetime], int]
    #: Told (payload, why, now) that a request came to nothing, where something waits for it. Same transaction.
    dropped: Callable[[Mapping[str, Any], str, datetime], None] | None = None

    @classmethod
    def adjusting(
        cls,
        kind: Adjustment.Kind,
        *,
        permission: str,
        run: Callable[[Mapping[str, Any], Mapping[str, int], int, datetime], str],
        label: Words = None,
    ) -> "Act":
        """An act that writes adjustments of one kind; its slug is the kind."""
        return cls(kind.value, label or kind.label, permission, run, adjusted(kind.value))


_acts: dict[str, Act] = {}


def act_register(act: Act) -> Act:
    """Makes an act known under its slug; returns it."""
    _acts[act.slug] = act
    return act


def act_named(slug: str) -> Act:
    """Raises SollecitoError (`act_unknown`) for one that no app registered."""
    try:
        return _acts[slug]
    except KeyError:
        raise SollecitoError(f"There is no act {slug!r}.", code="act_unknown") from None


def act_dropped(slug: str, payload: Mapping[str, Any], why: str, now: datetime) -> None:
    """Tells whatever waits for a request that it came to nothing; an act that is not registered any more waits for
    nothing."""
    if (act := _acts.get(slug)) is not None and act.dropped is not None:
        act.dropped(payload, why, now)


def act_choices() -> list[tuple[str, Words]]:
    """Slug and label of every act, for forms."""
    return [(act.slug, act.label) for act in _acts.values()]
