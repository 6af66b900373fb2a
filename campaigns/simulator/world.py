"""One life at a moment of the virtual calendar: its case, judged by the engine's own assessment. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from billing.models.invoice import InvoiceStatus
from campaigns.engine.assessment import assess
from campaigns.engine.occasions import begins
from campaigns.engine.standing import Assessment, LiveCase, Offer, PromiseFact, Standing
from campaigns.engine.types import CaseSnapshot, LadderSpec
from campaigns.guard.check import check
from campaigns.guard.types import Allowed, Blocked, Contacted
from campaigns.guard.zones import zone
from campaigns.models.case import ENDS, CaseState
from campaigns.models.ladder import PRE_DUNNING
from campaigns.models.message import PENDING, MessagePurpose, MessageStatus
from campaigns.simulator.ledger import Ledger
from campaigns.simulator.types import Bill, Costs, Event, Kind, Life
from customers.models import Channel

_EMAIL = Channel.EMAIL.value
_TOLD = {
    "case.opened": Kind.OPENED,
    "case.invoice_joined": Kind.JOINED,
    "case.reanchored": Kind.REANCHORED,
    "case.rested": Kind.RESTED,
    "case.woken": Kind.WOKEN,
    "case.ladder_started": Kind.STARTED,
    "promise.broken": Kind.PROMISE_BROKEN,
    "case.recovered": Kind.RECOVERED,
    "case.cancelled": Kind.CANCELLED,
}
NO_LADDERS: Mapping[str, LadderSpec] = MappingProxyType({})


class World:
    """Mutable, one per life; `events` grows as the clock is moved by campaigns.simulator.play."""

    def __init__(
        self,
        life: Life,
        offers: Sequence[Offer],
        costs: Costs,
        now: datetime,
        until: datetime,
        ladders: Mapping[str, LadderSpec] = NO_LADDERS,
    ) -> None:
        self.life = life
        self.offers = offers if life.ladder is None else [replace(offer, spec=life.ladder) for offer in offers]
        self.costs = costs
        self.until = until
        self.ladders = ladders
        self.tz = zone(life.zone)
        self.events: list[Event] = []
        self.ledger = Ledger(life, now, self._billed)
        self.case = life.case and _arrived(life.case)
        self.promise = life.promise
        self.members: set[int] = set()
        self.contacts: tuple[Contacted, ...] = life.guard.contacts
        #: Keys of the tasks a person was asked for.
        self.asked: set[str] = set()
        #: When the escalate loop looks at the case, and the assessment at the customer, though nothing has changed.
        self.next_action_at: datetime | None = None
        self.reassess_at: datetime | None = None
        self._paid_before = False
        if life.case is not None:
            self.members = {invoice.id for invoice in life.case.invoices}
            self.next_action_at = life.next_action_at or now

    @property
    def resting(self) -> bool:
        """No charge by itself: the customer has promised to pay, or is left alone."""
        return self.promise is not None or self.life.excluded

    def moments(self) -> list[datetime]:
        """Every moment known beforehand at which facts change, in order."""
        found = self.ledger.moments()
        if self.life.promise is not None:
            found.add(self.life.promise.expires_at)
        return sorted(found)

    def soonest(self) -> datetime | None:
        """The next moment the machinery itself looks: a step's, a charge's, a notice's before a day that comes."""
        waits = list(self.ledger.retry_at.values())
        waits += [at for at in (self.next_action_at, self.reassess_at) if at is not None]
        return min(waits, default=None)

    # --- the case

    def assess(self, now: datetime) -> None:
        """Opens, joins, rests, wakes and closes, as campaigns.engine.assessment judges it."""
        standing = self._standing(now)
        for change in assess(standing, self.offers, now):
            self._apply(change, now)
        starts = (begins(standing, occasion, self.offers) for occasion in standing.occasions)
        self.reassess_at = min((at for at in starts if at is not None and at > now), default=None)

    def _standing(self, now: datetime) -> Standing:
        live = None
        if self.case is not None:
            live = LiveCase(
                id=self.life.key,
                state=self.case.state,
                ladder=self.case.ladder,
                anchor_at=self.case.anchor_at,
                round=self.case.round,
                position=self.case.position,
                rests_until=self.case.rests_until,
                members=tuple(self.ledger.debt(pk) for pk in sorted(self.members)),
                paid_before=self._paid_before,
                trigger=self.case.trigger,
            )
        return Standing(
            customer_id=self.life.customer_id,
            brand_id=self.life.brand_id,
            zone=self.life.zone,
            excluded=self.life.excluded,
            case=live,
            loose=self.ledger.loose(self.members, now),
            promise=self.promise
            and PromiseFact(self.promise.id, self.promise.amount, self.promise.expires_at, self.promise.paid),
            occasions=self.ledger.occasions(now),
        )

    def _apply(self, change: Assessment, now: datetime) -> None:
        if change.promise_status:
            self.promise = None
            for pk in self.members:
                self.ledger.plan(pk, now)
        paid = any(outcome == InvoiceStatus.PAID for _pk, outcome in change.leaves)
        self._paid_before = change.opening is None and (self._paid_before or paid)
        self.members |= set(change.joins)
        self.members -= {pk for pk, _outcome in change.leaves}
        for told in change.told:
            if (kind := _TOLD.get(told.kind)) is not None:
                self.tell(kind, now, reason=told.summary)
        fields = change.fields
        if fields is None:
            return
        if fields.state in ENDS:
            self.close()
            if change.receipt:
                self._receipt(now)
            return
        if change.opening is not None:
            self.case = self._opened(change.opening.ladder, change.opening.trigger, fields.anchor_at, fields.state)
        assert self.case is not None
        if fields.version_id is not None:
            spec = next(offer.spec for offer in self.offers if offer.spec.version_id == fields.version_id)
            self.case = self.case._replace(
                ladder=spec,
                trigger=fields.trigger,
                guard=self.case.guard._replace(min_gap_hours=spec.min_gap_hours),
            )
        if fields.round != self.case.round:
            self.case = self.case._replace(runs={})
        self.case = self.case._replace(
            state=fields.state,
            anchor_at=fields.anchor_at,
            round=fields.round,
            position=fields.position,
            rests_until=fields.rests_until,
        )
        self.next_action_at = fields.next_action_at

    def close(self) -> None:
        """The case is none any more."""
        self.case, self.next_action_at, self.members = None, None, set()

    def _opened(self, ladder: LadderSpec, trigger: str, anchor_at: datetime, state: str) -> CaseSnapshot:
        return CaseSnapshot(
            case_id=self.life.key,
            customer_id=self.life.customer_id,
            brand_id=self.life.brand_id,
            state=state,
            ladder=ladder,
            anchor_at=anchor_at,
            round=1,
            position=0,
            zone=self.life.zone,
            country=self.life.country,
            guard=self.life.guard._replace(min_gap_hours=ladder.min_gap_hours),
            trigger=trigger,
            ahead=trigger in PRE_DUNNING,
        )

    def _receipt(self, now: datetime) -> None:
        """The thank-you, at the first moment the guard lets it pass."""
        guard = self.life.guard._replace(case_state=CaseState.RECOVERED.value, purpose=MessagePurpose.RECEIPT.value)
        verdict = check(guard, _EMAIL, now)
        if isinstance(verdict, Blocked):
            return
        at = now if isinstance(verdict, Allowed) else verdict.until
        self.tell(Kind.RECEIPT, at, channel=_EMAIL, cost=self.costs.of(_EMAIL))

    # --- telling

    def days(self, bills: Sequence[Bill], at: datetime) -> int | None:
        """Days from the due day of the oldest of the bills, by the local calendar."""
        if not bills:
            return None
        return (at.astimezone(self.tz).date() - min(bill.due_on for bill in bills)).days

    def tell(self, kind: Kind, at: datetime, **fields: Any) -> None:
        """Writes down what happens."""
        self.events.append(Event(self.life.key, at, self.life.zone, kind.value, **fields))

    def _billed(self, kind: Kind, bill: Bill, at: datetime, words: str) -> None:
        self.tell(kind, at, invoices=(bill.id,), days=self.days((bill,), at), reason=words)


def _arrived(case: CaseSnapshot) -> CaseSnapshot:
    """The case with every message that is on its way handed over: what waits in the outbox goes out within hours, and
    no ladder stands still for it."""
    waiting = [pk for pk, run in case.runs.items() if run.message_status in PENDING]
    if not waiting:
        return case
    sent = {pk: case.runs[pk]._replace(message_status=MessageStatus.SENT.value) for pk in waiting}
    return case._replace(runs={**case.runs, **sent})
