"""Owns the plain values that go into and come out of retry planning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.retries import reading
from billing.retries.declines import AsksFor, Category, DeclineVerdict, verdict_of
from billing.retries.limits import Profile

DEFAULT_WINDOW_DAYS = 21
DEFAULT_MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One charge that was tried.

    `at` is aware. `origin` says who started it: "first", "retry", "processor" (the processor's own schedule),
    "staff" or "customer" (on-session; it does not use up a retry). `fingerprint` names the card or account;
    empty means the one the invoice is charged on now. `part`: it was over a part only, and the rest is still owed.
    """

    at: datetime
    approved: bool = False
    decline_code: str | None = None
    network_decline_code: str | None = None
    advice_code: str | None = None
    network_advice_code: str | None = None
    origin: str = "retry"
    fingerprint: str = ""
    part: bool = False

    def __post_init__(self) -> None:
        _aware("at", self.at)

    @property
    def verdict(self) -> DeclineVerdict:
        """What its four codes mean (meaningless for an approved attempt)."""
        return verdict_of(self)

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> PastAttempt:
        """Read a history row (see reading); unknown keys are ignored, missing get defaults. KeyError without `at`."""
        return cls(**_known(_OF_ATTEMPTS, row, "at"))


@dataclass(frozen=True, slots=True)
class RetryContext:
    """What is known of the invoice whose charge failed.

    `failed_at` is the first failure and `deadline` the last moment a retry may run, both aware; without
    a deadline it is `window_days` after the failure. `max_attempts` counts retries after the first failure.
    `amount` is in minor units of `currency`. `timezone` is an IANA name; an unknown one is read as UTC.
    `brand` is the card's network or, for bank debits, Stripe's payment method type. The four codes are
    those of the first decline, for histories that hold no attempts.
    """

    invoice_id: str
    failed_at: datetime
    deadline: datetime | None = None
    window_days: float = DEFAULT_WINDOW_DAYS
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    customer_id: str = ""
    country: str = ""
    timezone: str = "UTC"
    brand: str = ""
    funding: str = ""
    issuer: str = ""
    amount: int | None = None
    currency: str = ""
    tenure_months: float | None = None
    cross_border: bool | None = None
    decline_code: str | None = None
    network_decline_code: str | None = None
    advice_code: str | None = None
    network_advice_code: str | None = None
    fingerprint: str = ""
    #: Which of the networks' numbers hold where sources disagree (limits.Profile).
    limit_profile: Profile = "cautious"
    #: Where the card was issued (ISO code), "" for bank debits and where it is not known: some laws bind by it.
    card_country: str = ""
    #: How long before a debit its payer is to be told by the account itself; zero where the processor tells them.
    debit_notice: timedelta = timedelta(0)
    #: Charged on a stored method that nobody made the default, by the account's policy.
    other_method: bool = False

    def __post_init__(self) -> None:
        _aware("failed_at", self.failed_at)
        if self.deadline is not None:
            _aware("deadline", self.deadline)

    @property
    def ends_at(self) -> datetime:
        """The last moment a retry may run, UTC."""
        return (self.deadline or self.failed_at + timedelta(days=self.window_days)).astimezone(UTC)

    @property
    def first_decline(self) -> PastAttempt:
        """The first failure as an attempt, from the context's own codes."""
        return PastAttempt(
            at=self.failed_at,
            decline_code=self.decline_code,
            network_decline_code=self.network_decline_code,
            advice_code=self.advice_code,
            network_advice_code=self.network_advice_code,
            origin="first",
        )

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> RetryContext:
        """Read a context mapping (see reading); unknown keys are ignored, missing or None ones take their default.

        Raises KeyError when `failed_at` is missing.
        """
        return cls(**{"invoice_id": ""} | _known(_OF_CONTEXTS, row, "failed_at"))


@dataclass(frozen=True, slots=True)
class PlannedRetry:
    """The next charge to try: when (UTC), how likely to be approved (a weak prior, 0 to 1), and why.

    `explanation` is one English sentence for staff; `reasons` are the up to three facts that weighed most;
    `rule` is the dotted id of the rule that chose the moment.
    """

    at: datetime
    probability: float
    strategy: str
    explanation: str
    reasons: tuple[str, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class Stop:
    """No further charge of this invoice on this credential: why, by which rule, and what would help."""

    reason: str
    rule: str
    asks_for: AsksFor = AsksFor.NOTHING
    category: Category | None = None


def as_told(
    context: RetryContext | Mapping[str, Any], attempts: Iterable[PastAttempt | Mapping[str, Any]] | None
) -> tuple[RetryContext, list[PastAttempt]]:
    """A question as values, whatever of it came as mappings.

    Without `failed_at` the earliest attempt was the failure. An attempt without its moment still binds by its codes:
    it is read as made when the one before it was. Raises KeyError when no moment of failure is known at all.
    """
    told = list(attempts or ())
    if not isinstance(context, RetryContext):
        moments = [a.at if isinstance(a, PastAttempt) else reading.moment(a.get("at")) for a in told]
        failed = reading.moment(context.get("failed_at")) or min(filter(None, moments), default=None)
        context = RetryContext.from_mapping({**context, "failed_at": failed})
    past: list[PastAttempt] = []
    for attempt in told:
        if not isinstance(attempt, PastAttempt):
            at = reading.moment(attempt.get("at")) or (past[-1].at if past else context.failed_at)
            attempt = PastAttempt.from_mapping({**attempt, "at": at})
        past.append(attempt)
    return context, past


def _aware(name: str, moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError(f"{name} must be aware; {moment} has no time zone.")


_CODES: dict[str, Callable[[Any], Any]] = {
    "decline_code": reading.code,
    "network_decline_code": reading.code,
    "advice_code": reading.code,
    "network_advice_code": reading.code,
    "fingerprint": reading.text,
}
_OF_ATTEMPTS = {"at": reading.moment, "approved": reading.flag, "origin": reading.text, "part": reading.flag} | _CODES
_OF_CONTEXTS = {
    "invoice_id": reading.text,
    "failed_at": reading.moment,
    "deadline": reading.moment,
    "window_days": reading.days,
    "max_attempts": reading.whole,
    "customer_id": reading.text,
    "country": reading.text,
    "timezone": reading.text,
    "brand": reading.text,
    "funding": reading.text,
    "issuer": reading.text,
    "amount": reading.whole,
    "currency": reading.text,
    "tenure_months": reading.real,
    "cross_border": reading.flag,
    "limit_profile": reading.profile,
    "card_country": reading.text,
    "debit_notice": reading.span,
    "other_method": reading.flag,
} | _CODES


def _known(readers: Mapping[str, Callable[[Any], Any]], row: Mapping[str, Any], required: str) -> dict[str, Any]:
    found = {}
    for name, read in readers.items():
        told = row.get(name)
        if told is not None and (value := read(told)) is not None:
            found[name] = value
    if required not in found:
        raise KeyError(required)
    return found
