"""Counts what a simulation did: per day, channel, step and rule, what it cost, and whom it reached in vain. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from campaigns.guard.zones import zone
from campaigns.simulator.types import CONTACTS, Costs, Event, Kind, Life

#: A reminder to who pays within this time anyway was perhaps needless.
PAID_SOON = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What became of one rung, in cases: `sent` counts messages, tasks and other actions alike."""

    step: str
    name: str
    channel: str
    sent: int = 0
    deferred: int = 0
    blocked: int = 0
    skipped: int = 0
    superseded: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals of a simulation. Dates are the customers' local ones, ISO; costs in minor units, rounded up."""

    lives: int = 0
    opened: int = 0
    recovered: int = 0
    ended: int = 0
    #: Messages that ask for payment, and the thank-yous after it.
    reminders: int = 0
    receipts: int = 0
    tasks: int = 0
    retries: int = 0
    deferrals: int = 0
    #: Lives in which a step was not allowed and a person was asked.
    blocked: int = 0
    #: Invoices named in reminders, each once.
    invoices_reminded: int = 0
    #: Reminders after which an invoice they named was paid within PAID_SOON; and the invoices so paid, each once.
    paid_soon_days: int = PAID_SOON.days
    reminders_paid_soon: int = 0
    invoices_paid_soon: int = 0
    by_channel: Mapping[str, int] = field(default_factory=dict)
    #: What held steps back: by rule how often, and what it said the first time.
    by_rule: Mapping[str, int] = field(default_factory=dict)
    rule_words: Mapping[str, str] = field(default_factory=dict)
    #: Reminders by days from the due day of the oldest invoice they named.
    by_days_from_due: Mapping[int, int] = field(default_factory=dict)
    #: Local date → channel → reminders; thank-yous count as `receipt`, tasks as `task`, charges as `retry`.
    per_day: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    steps: Sequence[StepFigures] = ()
    currency: str = ""
    cost: int = 0
    cost_by_channel: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the same figures always in the same order."""
        data = asdict(self)
        data["by_days_from_due"] = {str(days): count for days, count in self.by_days_from_due.items()}
        return data


def figures(lives: Sequence[Life], events: Iterable[Event], costs: Costs) -> Figures:
    """The totals of `events`, which happened in `lives`."""
    paid_at = {(life.key, bill.id): bill.paid_at for life in lives for bill in life.bills}
    kinds: Counter[str] = Counter()
    channels: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    words: dict[str, str] = {}
    days: Counter[int] = Counter()
    spent: Counter[str] = Counter()
    per_day: dict[str, Counter[str]] = defaultdict(Counter)
    steps: dict[tuple[str, str, str], Counter[str]] = {}
    reminded: set[tuple[int, int]] = set()
    paid_soon: set[tuple[int, int]] = set()
    blocked: set[int] = set()
    reminders_paid_soon = 0
    for event in events:
        kinds[event.kind] += 1
        if event.kind in CONTACTS:
            channels[event.channel] += 1
            spent[event.channel] += event.cost
            per_day[_day(event)][event.channel if event.kind == Kind.SENT else event.kind] += 1
        elif event.kind in (Kind.TASK, Kind.RETRY):
            per_day[_day(event)][event.kind] += 1
        elif event.kind in (Kind.DEFERRED, Kind.BLOCKED, Kind.SKIPPED, Kind.SUPERSEDED):
            rules[event.rule] += 1
            words.setdefault(event.rule, event.reason)
        if event.kind == Kind.BLOCKED:
            blocked.add(event.life)
        if event.step:
            steps.setdefault((event.step, event.name, event.channel), Counter())[event.kind] += 1
        if event.kind == Kind.SENT:
            if event.days is not None:
                days[event.days] += 1
            named = [(event.life, pk) for pk in event.invoices]
            reminded.update(named)
            soon = [key for key in named if _soon(event.at, paid_at.get(key))]
            paid_soon.update(soon)
            reminders_paid_soon += bool(soon)
    return Figures(
        lives=len(lives),
        opened=kinds[Kind.OPENED] + sum(life.case is not None for life in lives),
        recovered=kinds[Kind.RECOVERED],
        ended=kinds[Kind.ENDED],
        reminders=kinds[Kind.SENT],
        receipts=kinds[Kind.RECEIPT],
        tasks=kinds[Kind.TASK],
        retries=kinds[Kind.RETRY],
        deferrals=kinds[Kind.DEFERRED],
        blocked=len(blocked),
        invoices_reminded=len(reminded),
        reminders_paid_soon=reminders_paid_soon,
        invoices_paid_soon=len(paid_soon),
        by_channel=dict(sorted(channels.items())),
        by_rule=dict(sorted(rules.items())),
        rule_words=dict(sorted(words.items())),
        by_days_from_due=dict(sorted(days.items())),
        per_day={day: dict(sorted(per_day[day].items())) for day in sorted(per_day)},
        steps=[_step(key, counts) for key, counts in steps.items()],
        currency=costs.currency,
        cost=_minor(sum(spent.values())),
        cost_by_channel={channel: _minor(spent[channel]) for channel in sorted(spent)},
    )


def _day(event: Event) -> str:
    return event.at.astimezone(zone(event.zone)).date().isoformat()


def _soon(sent: datetime, paid: datetime | None) -> bool:
    return paid is not None and sent < paid <= sent + PAID_SOON


def _step(key: tuple[str, str, str], counts: Mapping[str, int]) -> StepFigures:
    step, name, channel = key
    return StepFigures(
        step=step,
        name=name,
        channel=channel,
        sent=sum(counts.get(kind, 0) for kind in (Kind.SENT, Kind.TASK, Kind.ACTED)),
        deferred=counts.get(Kind.DEFERRED, 0),
        blocked=counts.get(Kind.BLOCKED, 0),
        skipped=counts.get(Kind.SKIPPED, 0),
        superseded=counts.get(Kind.SUPERSEDED, 0),
    )


def _minor(thousandths: int) -> int:
    return -(-thousandths // 1000)
