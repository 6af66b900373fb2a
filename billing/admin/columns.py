"""Columns of amounts and badges of states, the same on every list and page of money."""

from collections.abc import Callable, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from billing import money

INVOICE = {"open": "warning", "paid": "success", "uncollectible": "danger"}
ATTEMPT = {
    "planned": "info",
    "in_flight": "primary",
    "unknown": "warning",
    "succeeded": "success",
    "declined": "danger",
}
RETRY = {"needs_plan": "info", "planned": "primary", "stopped": "danger"}
SUBSCRIPTION = {
    "active": "success",
    "trialing": "info",
    "past_due": "warning",
    "unpaid": "danger",
    "canceled": "danger",
}
PROMISE = {"open": "info", "kept": "success", "broken": "danger"}
PLAN = {"active": "info", "completed": "success", "broken": "danger"}
FEE = {"open": "warning", "paid": "success"}
DISPUTE = {"open": "warning", "won": "success", "lost": "danger"}
APPROVAL = {"pending": "warning", "done": "success", "declined": "danger", "failed": "danger"}
WORK = {"pending": "info", "done": "success", "failed": "danger"}


def ageing_bar(currency: str, words: Sequence[Any], amounts: Sequence[int]) -> SafeString:
    """Amounts in minor units, the freshest debt first, as one bar of their shares; what it shows is said in words too.
    Nothing for nothing owed."""
    total = sum(amounts)
    if not total:
        return SafeString("")
    parts = [
        (
            f"sol-age-{place}",
            round(100 * part / total, 1),
            title,
            money.shown(part, currency),
        )
        for place, (title, part) in enumerate(zip(words, amounts, strict=True))
        if part
    ]
    label = "; ".join(f"{title}: {shown}" for _tone, _share, title, shown in parts)
    bars = format_html_join("", '<span class="{}" style="flex-grow: {}" title="{}: {}"></span>', parts)
    return format_html('<span class="sol-ageing" role="img" aria-label="{}">{}</span>', label, bars)


def amount(value: int | None, currency: str) -> SafeString:
    """An amount in minor units, right-aligned, as the reader's language writes it."""
    return format_html('<span class="sol-money">{}</span>', money.shown(value, currency))


def money_column(field: str, title: Any) -> Callable[[Any, Any], SafeString]:
    """A list column of the amount in `field`, with the row's `currency`."""

    @display(description=title, ordering=field)
    def column(self: Any, row: Any) -> SafeString:
        return amount(getattr(row, field), row.currency)

    return column  # type: ignore[no-any-return]
