"""Puts the figures on the admin's first page, each with a link to the rows behind it."""

import json
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing import money
from billing.breaker import silences
from billing.conflicts import conflicts
from billing.models import RecoverySource
from campaigns.models import Segment
from customers import clock
from customers.display import ago
from customers.visibility import seen_ids
from insights import figures
from insights.figures import Sum
from insights.scope import Scope, rows_url, scope_read

#: A loop that is later than this many seconds is shown in red: its workers are down or overrun.
LATE = 300


@dataclass(frozen=True, slots=True)
class Card:
    """One figure: what it is, its lines, what they mean, and where the rows are."""

    title: str
    lines: list[str]
    note: str
    url: str


def _money(amount: int, currency: str) -> str:
    return money.shown(amount, currency)


def _lines(sums: Iterable[Sum]) -> list[str]:
    """One amount per currency, the largest first; sums of one currency are added up."""
    totals: dict[str, int] = {}
    for row in sums:
        totals[row.currency] = totals.get(row.currency, 0) + row.amount
    ordered = sorted(totals.items(), key=lambda item: -money.to_major(item[1], item[0]))
    return [_money(amount, currency) for currency, amount in ordered]


def _month_start(now: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    return datetime.combine(now.astimezone(zone).date().replace(day=1), time(0), tzinfo=zone)


def _day_end(now: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(0), tzinfo=zone)


def _risk_card(scope: Scope) -> Card:
    sums = figures.at_risk(scope.customers)
    cases, invoices = sum(s.cases for s in sums), sum(s.count for s in sums)
    words = ngettext("%(n)d invoice in live cases", "%(n)d invoices in live cases", invoices) % {"n": invoices}
    return Card(
        _("At risk"),
        _lines(sums),
        words if cases else _("No live case."),
        scope.list("campaigns_case", state__in=",".join(figures.LIVE)),
    )


def _recovered_card(sums: list[Sum], since: datetime, scope: Scope) -> Card:
    count = sum(s.count for s in sums)
    words = ngettext("%(n)d invoice since %(day)s", "%(n)d invoices since %(day)s", count)
    return Card(
        _("Recovered this month"),
        _lines(sums),
        words % {"n": count, "day": date_format(since, "j M")},
        scope.list(
            "billing_invoice", recovered_by__in=",".join(RecoverySource.values), paid_at__gte=since.isoformat()
        ),
    )


def _due_rows(until: datetime, scope: Scope) -> list[tuple[str, int, str]]:
    work = figures.due_before(until, scope.customers)
    before = until.isoformat()
    return [
        (_("Cases to act on"), work.cases, scope.list("campaigns_case", next_action_at__lt=before)),
        (_("Tasks for people"), work.tasks, scope.list("campaigns_task", status__exact="open", due_at__lt=before)),
        (
            _("Retries planned"),
            work.retries,
            scope.list("billing_paymentattempt", status__exact="planned", scheduled_for__lt=before),
        ),
        (
            _("Messages queued"),
            work.messages,
            scope.list("campaigns_message", status__exact="queued", send_at__lt=before),
        ),
    ]


def _lag_rows(now: datetime) -> list[tuple[str, str, bool, str]]:
    before = now.isoformat()
    titles = {
        "ingest": (_("Inbox"), rows_url("billing_inboxevent", status__in="pending,failed")),
        "assess": (_("Customers to assess"), rows_url("customers_customer", reassess_at__lte=before)),
        "escalate": (_("Due cases"), rows_url("campaigns_case", next_action_at__lte=before)),
        "retry": (
            _("Due retries"),
            rows_url("billing_paymentattempt", status__exact="planned", scheduled_for__lte=before),
        ),
        "deliver": (
            _("Due messages"),
            rows_url("campaigns_message", status__exact="queued", send_at__lte=before),
        ),
    }
    return [
        (titles[lag.loop][0], ago(lag.seconds), (lag.seconds or 0) > LATE, titles[lag.loop][1])
        for lag in figures.lags(now)
    ]


def _cohort_rows(now: datetime, scope: Scope) -> list[dict[str, Any]]:
    rows = []
    for cohort in figures.cohorts(now, settings.TIME_ZONE, scope.customers):
        zone = zoneinfo.ZoneInfo(settings.TIME_ZONE)
        first = datetime.combine(cohort.month, time(0), tzinfo=zone)
        following = datetime.combine((cohort.month + timedelta(days=32)).replace(day=1), time(0), tzinfo=zone)
        rows.append(
            {
                "month": date_format(cohort.month, "F Y"),
                "cohort": cohort,
                "failed_amount": _money(cohort.failed_amount, cohort.currency),
                "recovered_amount": _money(cohort.recovered_amount, cohort.currency),
                "url": scope.list(
                    "billing_invoice",
                    first_failed_at__gte=first.isoformat(),
                    first_failed_at__lt=following.isoformat(),
                    currency__exact=cohort.currency,
                ),
            }
        )
    return rows


def _source_rows(sums: list[Sum], since: datetime, scope: Scope) -> list[dict[str, Any]]:
    totals: dict[str, int] = {}
    for row in sums:
        totals[row.currency] = totals.get(row.currency, 0) + row.amount
    return [
        {
            "title": RecoverySource(row.key).label if row.key in RecoverySource.values else row.key,
            "count": row.count,
            "amount": _money(row.amount, row.currency),
            "share": round(100 * row.amount / totals[row.currency]) if totals[row.currency] else 0,
            "currency": row.currency,
            "url": scope.list(
                "billing_invoice",
                recovered_by__exact=row.key,
                currency__exact=row.currency,
                paid_at__gte=since.isoformat(),
            ),
        }
        for row in sorted(sums, key=lambda s: (s.currency, -s.amount))
    ]


def _ageing_table(now: datetime, scope: Scope) -> dict[str, Any]:
    titles = {
        "current": _("Not due"),
        "1-30": _("1–30 days"),
        "31-60": _("31–60 days"),
        "61-90": _("61–90 days"),
        "90+": _("over 90 days"),
    }
    edges: dict[str, tuple[int | None, int | None]] = {
        "current": (None, 0),
        "1-30": (0, 30),
        "31-60": (30, 60),
        "61-90": (60, 90),
        "90+": (90, None),
    }
    cells = {(row.currency, row.key): row for row in figures.ageing(now, scope.customers)}
    currencies = sorted({currency for currency, _key in cells})

    def url(currency: str, key: str) -> str:
        older, newer = edges[key]
        query = {"status__exact": "open", "currency__exact": currency}
        if older is not None:
            query["due_at__lte"] = (now - timedelta(days=older)).isoformat()
        if newer is not None and key != "current":
            query["due_at__gt"] = (now - timedelta(days=newer)).isoformat()
        if key == "current":
            query["due_at__gt"] = now.isoformat()
        return scope.list("billing_invoice", **query)

    return {
        "heads": list(titles.values()),
        "rows": [
            (
                currency,
                [
                    (_money(cell.amount, currency), cell.count, url(currency, key))
                    if (cell := cells.get((currency, key)))
                    else None
                    for key in titles
                ],
            )
            for currency in currencies
        ],
    }


def _chart(now: datetime, zone: zoneinfo.ZoneInfo, scope: Scope) -> str:
    today = now.astimezone(zone).date()
    days = figures.per_day(today - timedelta(days=figures.CHART_DAYS - 1), today, settings.TIME_ZONE, scope.customers)
    return json.dumps(
        {
            "labels": [date_format(d.day, "j M") for d in days],
            "datasets": [
                {
                    "label": _("Failed for the first time"),
                    "data": [d.failed for d in days],
                    "borderColor": "var(--color-base-400)",
                },
                {
                    "label": _("Recovered"),
                    "data": [d.recovered for d in days],
                    "borderColor": "var(--color-primary-600)",
                },
            ],
        }
    )


def dashboard_callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the figures to the first page's context, for people who may see invoices and cases."""
    if not request.user.has_perms(["billing.view_invoice", "campaigns.view_case"]):
        return context
    now = clock.now()
    zone = zoneinfo.ZoneInfo(settings.TIME_ZONE)
    if figures.is_empty():
        context["dashboard"] = {"empty": True, "webhook_url": f"{settings.BASE_URL}/webhooks/stripe/"}
        return context
    since = _month_start(now, zone)
    may = request.user.has_perm("campaigns.view_segment")
    scope = scope_read(request.GET.get("segment", "") if may else "", now, seen_ids(request.user))
    sums = figures.recovered_since(since, scope.customers)
    accounts = request.user.has_perm("billing.view_processoraccount")
    context["dashboard"] = {
        "cards": [_risk_card(scope), _recovered_card(sums, since, scope)],
        "due": _due_rows(_day_end(now, zone), scope),
        "conflicts": conflicts() if accounts else [],
        "silences": silences() if accounts else [],
        "lags": _lag_rows(now),
        "cohorts": _cohort_rows(now, scope),
        "sources": _source_rows(sums, since, scope),
        "ageing": _ageing_table(now, scope),
        "chart": _chart(now, zone, scope),
        "chart_days": figures.CHART_DAYS,
        "scope": scope,
        "segments": list(Segment.objects.values_list("code", "name")) if may else [],
        "zone": settings.TIME_ZONE,
        "now": now,
    }
    return context
