"""What the page of an import shows of its rows: what each would do, or what is wrong with it, in words."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from billing import money
from billing.models import ImportRow, ImportRun, Invoice
from customers.display import ago, choice_badge

_PER_PAGE = 100
Status = ImportRun.Status
_OUTCOME: dict[str, str] = {
    ImportRow.Outcome.NEW: "success",
    ImportRow.Outcome.CHANGED: "info",
    ImportRow.Outcome.REJECTED: "danger",
}


def load_rows(request: HttpRequest, run: ImportRun, now: datetime) -> dict[str, Any]:
    """The page's rows: of one outcome, or of all; what would change and what is wrong in words."""
    shown = request.GET.get("outcome", "")
    if shown not in ImportRow.Outcome.values:
        shown = ""
    counted = {name: getattr(run, name) for name in ImportRow.Outcome.values}
    rows = ImportRow.objects.filter(run=run).order_by("number")
    if shown:
        rows = rows.filter(outcome=shown)
    pages = Paginator(rows, _PER_PAGE)
    # The counts are known: a page of 100,000 rows must not count them anew.
    pages.count = counted[shown] if shown else run.rows
    page = pages.get_page(request.GET.get("p"))
    chips = [("", _("All"), run.rows)]
    chips += [(value, label, counted[value]) for value, label in ImportRow.Outcome.choices]
    done = run.done if run.status == Status.WRITING else run.rows
    return {
        "run": run,
        "page": page,
        "told": [_told(row, run) for row in page.object_list],
        "chips": [(value, label, count, value == shown) for value, label, count in chips],
        "shown": shown,
        "query": urlencode({"outcome": shown}) if shown else "",
        "working": run.status in (Status.CHECKING, Status.WRITING),
        "done": done,
        "percent": _percent(run),
        "pace": _pace(run),
        "to_write": run.new + run.changed,
    }


def _way(run: ImportRun) -> tuple[int, int]:
    """How many rows are behind it, and how many there will be; 0 where nobody can tell."""
    return (run.rows, run.expected) if run.status == Status.CHECKING else (run.done, run.rows)


def _percent(run: ImportRun) -> int:
    behind, total = _way(run)
    return min(100, 100 * behind // total) if total else 0


def _pace(run: ImportRun) -> str:
    """How fast the turn under way goes and how long it will take, in words; empty before its first batch is done."""
    if run.claimed_at is None or run.turn_at is None:
        return ""
    behind, total = _way(run)
    seconds, rows = (run.claimed_at - run.turn_at).total_seconds(), behind - run.turn_from
    if seconds <= 0 or rows <= 0:
        return ""
    pace = rows / seconds
    told = _now("{n} rows a second").format(n=number_format(round(pace), force_grouping=True))
    if total > behind:
        told += ", " + _now("about {time} to go").format(time=ago((total - behind) / pace))
    return f"{told}."


def _told(row: ImportRow, run: ImportRun) -> dict[str, Any]:
    labels = {f.name: f.verbose_name for f in Invoice._meta.fields} | {"refunded": _("refunded")}
    item = row.item or {}
    cells = dict(zip(run.headings, row.cells, strict=False))
    return {
        "row": row,
        "outcome": choice_badge(row, "outcome", _OUTCOME),
        "label": row.label or cells.get(run.layout.get("columns", {}).get("number")) or "–",
        "customer": item.get("customer_name") or item.get("customer", ""),
        "new": _in_words(item) if row.outcome == ImportRow.Outcome.NEW else "",
        "changes": [(labels.get(name, name), old, new) for name, old, new in row.changes],
        "errors": row.errors,
    }


def _in_words(item: Mapping[str, Any]) -> str:
    """What a new row brings: an invoice's sum and days, or a charge's sum, moment and answer."""
    told = {"sum": money.shown(int(item["amount"]), item["currency"])}
    if "due" in item:
        told |= {name: date_format(date.fromisoformat(item[name])) for name in ("issued", "due")}
        words = _now("%(sum)s, issued %(issued)s, due %(due)s") % told
        if item.get("settled"):
            return words + _now(", settled %(day)s") % {"day": date_format(date.fromisoformat(item["settled"]))}
        return words
    told["at"] = date_format(localtime(datetime.fromisoformat(item["at"])), "DATETIME_FORMAT")
    return (_now("%(sum)s, paid %(at)s") if item.get("succeeded") else _now("%(sum)s, refused %(at)s")) % told
