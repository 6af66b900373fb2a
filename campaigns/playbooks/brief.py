"""Owns the call brief: who they are, what happened, why, what was tried and answered, when and what to offer.

All from rows, none of it made up: each line names the row it comes from, so that the page can link to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns.guard.zones import zone_name
from campaigns.models import Case, Step, StepRun, Task
from campaigns.models.case import LIVE_STATES
from campaigns.playbooks import facts
from campaigns.playbooks.facts import Line
from campaigns.playbooks.scripts import Asked, Script, scripts_for
from campaigns.preview import case_context
from customers.models import Channel, Customer


@dataclass(frozen=True, slots=True)
class Part:
    """One question of the brief and its answers."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Brief:
    """What whoever calls has beside the form."""

    customer: Customer
    case: Case | None
    #: IANA name of the customer's zone, and the moment it was asked for (aware UTC).
    zone: str
    now: datetime
    language: str
    parts: tuple[Part, ...] = ()
    scripts: tuple[Script, ...] = field(default=())


def brief_for(about: Case | Customer, now: datetime, language: str = "") -> Brief:
    """The brief of a case, or of a customer's live one, at `now` (aware UTC), in some thirty queries.

    `language` is the one the call is held in; empty: the customer's, else the brand's. A customer without a case has
    the facts and no script.
    """
    case = about if isinstance(about, Case) else _live_case(about)
    customer = Customer.objects.select_related("brand").get(pk=case.customer_id if case else about.pk)
    spoken = language or customer.language or customer.brand.default_language
    zone = zone_name(timezone=customer.timezone, country=customer.country, brand_timezone=customer.brand.timezone)
    loaded = facts.load(customer, case, zone, now)
    parts = [
        Part(title, tuple(lines))
        for title, lines in (
            (_("Who they are"), facts.who(loaded)),
            (_("What happened"), facts.happened(loaded)),
            (_("Likely reason"), facts.reason(loaded)),
            (_("What was tried"), facts.tried(loaded)),
            (_("What they answered"), facts.answered(loaded)),
            (_("How and when to reach them"), facts.reach(loaded)),
            (_("What to offer"), facts.offer(loaded)),
        )
        if lines
    ]
    scripts = _scripts(loaded, case, spoken, now) if case is not None else []
    return Brief(customer, case, zone, now, spoken, tuple(parts), tuple(scripts))


def _live_case(customer: Customer) -> Case | None:
    rows = Case.objects.filter(customer=customer, state__in=LIVE_STATES)
    return rows.order_by("-opened_at", "-pk").first()


def _scripts(loaded: facts.Facts, case: Case, language: str, now: datetime) -> list[Script]:
    version = case.ladder_version
    languages = list(dict.fromkeys([language, language.partition("-")[0], loaded.customer.brand.default_language]))
    asked = Asked(
        customer_id=case.customer_id,
        languages=languages,
        ladder_id=version.ladder_id,
        step=_step(case),
        categories=_categories(loaded),
    )

    def context_in(language: str) -> dict[str, Any]:
        return dict(case_context(case_id=case.pk, channel=Channel.CALL, language=language, now=now))

    return scripts_for(asked, context_in, now)


def _categories(loaded: facts.Facts) -> Sequence[str]:
    newest = sorted(loaded.invoices, key=lambda row: row.first_failed_at or row.created_at, reverse=True)
    return list(dict.fromkeys(row.last_decline_category for row in newest if row.last_decline_category))


def _step(case: Case) -> Step | None:
    """The step the open call was asked for by, else the last one taken."""
    task = (
        Task.objects.filter(case=case, kind=Task.Kind.CALL, status=Task.Status.OPEN).order_by("due_at", "pk").first()
    )
    runs = StepRun.objects.filter(case=case, round=case.round).select_related("step")
    parts = (task.key or "").split(":") if task is not None else []
    if len(parts) == 4 and parts[2].isdecimal():
        asked = runs.filter(step=int(parts[2])).first()
        if asked is not None:
            return asked.step
    last = runs.filter(decision="done").order_by("-decided_at", "-pk").first()
    return last.step if last is not None else None
