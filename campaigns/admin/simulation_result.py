"""What a simulation came to, loaded for its page: totals, one value per version, and where two versions part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from billing import money
from campaigns.admin.simulation_words import KIND, channel_name, waits
from campaigns.models import SimulationRun
from customers.display import badge


@dataclass(frozen=True, slots=True)
class Row:
    """A line of totals: one value per version."""

    label: Any
    values: list[Any]
    #: The versions differ.
    apart: bool


def _rows(told: Sequence[Mapping[str, Any]]) -> list[Row]:
    def row(label: Any, values: list[Any]) -> Row:
        return Row(label, values, len(set(map(str, values))) > 1)

    wanted = (
        ("lives", _("Cases played")),
        ("reminders", _("Messages that ask for payment")),
        ("reminders_paid_soon", _("… of them followed by a payment within three days")),
        ("invoices_reminded", _("Invoices they name")),
        ("tasks", _("Tasks for staff")),
        ("retries", _("Charges")),
        ("deferrals", _("Times a step was put off")),
        ("blocked", _("Cases in which a step was not allowed")),
        ("receipts", _("Thank-yous")),
        ("recovered", _("Cases recovered")),
        ("ended", _("Cases whose ladder ended unpaid")),
    )
    rows = [row(label, [one["figures"][name] for one in told]) for name, label in wanted]
    costs = [_money(one["figures"]["cost"], one["figures"]["currency"]) for one in told]
    return [*rows, row(_("Cost of the messages"), costs)]


def _money(amount: int, currency: str) -> str:
    return money.shown(amount, currency) if currency else "–"


def _table(told: Sequence[Mapping[str, Any]], name: str, label: Any = str) -> list[Row]:
    """Rows of a mapping each version has, over all its keys."""
    keys = sorted({key for one in told for key in one["figures"][name]})
    return [
        Row(label(key), values, len(set(values)) > 1)
        for key in keys
        for values in [[one["figures"][name].get(key, 0) for one in told]]
    ]


def load_result(request: HttpRequest, run: SimulationRun, now: datetime) -> dict[str, Any]:
    """Context of the section of totals; of a run without a result, only what it is."""
    told = run.result.get("versions", [])
    context: dict[str, Any] = {"run": run, "waits": waits(run), "told": told}
    if not told:
        return context
    rules = {rule: words for one in told for rule, words in one["figures"]["rule_words"].items()}
    costs = {channel for one in told for channel in one["figures"]["cost_by_channel"]}
    return context | {
        "empty": all(one["figures"]["lives"] == 0 for one in told),
        "names": [one["name"] for one in told],
        "rows": _rows(told),
        "channels": _table(told, "by_channel", channel_name),
        "costs": [
            (
                channel_name(channel),
                [_money(o["figures"]["cost_by_channel"].get(channel, 0), o["figures"]["currency"]) for o in told],
            )
            for channel in sorted(costs)
        ],
        "steps": [(one["name"], one["figures"]["steps"]) for one in told],
        "rules": [(row, rules.get(row.label, "")) for row in _table(told, "by_rule")],
        "days_from_due": _histogram(told),
        "arms": [
            (arm, one["name"] if len(told) > 1 else "", _money(arm["cost"], arm["currency"]))
            for arms in zip(*(one.get("arms", ()) for one in told), strict=True)
            for one, arm in zip(told, arms, strict=True)
        ],
        "comparison": _comparison(run.result.get("comparison")),
    }


def _comparison(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if told is None:
        return None
    shown = [(line["life"], line["label"], [_first(line["first"]), _first(line["second"])]) for line in told["shown"]]
    return {"same": told["same"], "different": told["different"], "shown": shown}


def _first(event: Mapping[str, str] | None) -> SafeString:
    """What happens first in one version and not in the other."""
    if event is None:
        return format_html('<span class="sol-muted">{}</span>', _now("nothing more"))
    title, variant = KIND.get(event["kind"], (event["kind"], ""))
    words = " · ".join(w for w in (event["name"], channel_name(event["channel"]), event["rule"]) if w)
    return format_html('{} {}<span class="sol-sub">{}</span>', event["at"], badge(title, variant), words)


def _histogram(told: Sequence[Mapping[str, Any]]) -> list[tuple[int, list[tuple[int, int]]]]:
    """Per day from the due day and version: the messages, and the length of their bar in percent."""
    days = sorted({int(day) for one in told for day in one["figures"]["by_days_from_due"]})
    most = max((n for one in told for n in one["figures"]["by_days_from_due"].values()), default=1)
    counts = [one["figures"]["by_days_from_due"] for one in told]
    return [(day, [(c.get(str(day), 0), round(100 * c.get(str(day), 0) / most)) for c in counts]) for day in days]
