"""One life at a moment of the virtual calendar: its debts, retries and case, and what moves them. Pure."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from billing.models.invoice import InvoiceStatus
from billing.retries.types import PlannedRetry
from campaigns.engine import ladder as rungs
from campaigns.engine.assessment import assess
from campaigns.engine.decide import decide
from campaigns.engine.standing import Assessment, Debt, LiveCase, Offer, PromiseFact, Standing
from campaigns.engine.types import (
    CaseSnapshot,
    Decision,
    InvoiceFact,
    LadderSpec,
    Outcome,
    RunFact,
    RunRecord,
    StepSpec,
)
from campaigns.guard.check import check
from campaigns.guard.types import Allowed, Blocked, Contacted, GuardSnapshot
from campaigns.guard.zones import zone
from campaigns.models.case import ENDS, CaseState
from campaigns.models.ladder import Action
from campaigns.models.message import MessagePurpose, MessageStatus
from campaigns.simulator.retries import declined, next_charge
from campaigns.simulator.types import Bill, Costs, Event, Kind, Life, RetryPlan
from customers.models import Channel

_EMAIL = Channel.EMAIL.value
_TOLD = {
    "case.opened": Kind.OPENED,
    "case.invoice_joined": Kind.JOINED,
    "case.reanchored": Kind.REANCHORED,
    "case.rested": Kind.RESTED,
    "case.woken": Kind.WOKEN,
    "promise.broken": Kind.PROMISE_BROKEN,
    "case.recovered": Kind.RECOVERED,
    "case.cancelled": Kind.CANCELLED,
}
_RUNS = {
    "deferred": Kind.DEFERRED,
    "blocked": Kind.BLOCKED,
    "skipped": Kind.SKIPPED,
    "superseded": Kind.SUPERSEDED,
}


class World:
    """Mutable, one per life; `events` grows as the clock is moved by campaigns.simulator.play."""

    def __init__(self, life: Life, offers: Sequence[Offer], costs: Costs, now: datetime, until: datetime) -> None:
        self.life = life
        self.offers = offers
        self.costs = costs
        self.until = until
        self.tz = zone(life.zone)
        self.bills = {bill.id: bill for bill in life.bills}
        self.events: list[Event] = []
        self.case = life.case
        self.promise = life.promise
        self.members: set[int] = set()
        self.paid: set[int] = set()
        #: Invoices of a case that ended unpaid: they do not start another.
        self.finished: set[int] = set()
        self.contacts: tuple[Contacted, ...] = life.guard.contacts
        #: Keys of the tasks a person was asked for, and whether something was paid in the case that is open.
        self._asked: set[str] = set()
        self._paid_before = False
        self.next_action_at: datetime | None = None
        self.retry_at: dict[int, datetime] = {}
        self.odds: dict[int, float | None] = {}
        self.plans: dict[int, RetryPlan] = {}
        if life.case is not None:
            self.members = {invoice.id for invoice in life.case.invoices}
            self.next_action_at = life.next_action_at or now
        for bill in life.bills:
            if bill.paid_at is not None and bill.paid_at <= now:
                self.paid.add(bill.id)
            elif bill.since <= now:
                self._began(bill, now)

    # --- facts

    def moments(self) -> list[datetime]:
        """Every moment known beforehand at which facts change, in order."""
        found = {bill.since for bill in self.life.bills}
        found |= {bill.paid_at for bill in self.life.bills if bill.paid_at is not None}
        if self.life.promise is not None:
            found.add(self.life.promise.expires_at)
        return sorted(found)

    def soonest(self) -> datetime | None:
        """The next moment the machinery itself looks: a step's or a retry's."""
        waits = [*self.retry_at.values()]
        if self.next_action_at is not None:
            waits.append(self.next_action_at)
        return min(waits, default=None)

    def facts(self, before: datetime | None, now: datetime) -> bool:
        """Lets in what became true after `before` up to `now`; says whether anything did."""
        changed = before is None and self.case is None
        for bill in self.life.bills:
            if bill.paid_at is not None and bill.paid_at <= now and bill.id not in self.paid:
                self.paid.add(bill.id)
                self.retry_at.pop(bill.id, None)
                if bill.since < bill.paid_at:
                    self._tell(Kind.PAID, bill.paid_at, invoices=(bill.id,), days=self._days((bill,), bill.paid_at))
                changed = True
            elif before is not None and before < bill.since <= now and bill.id not in self.paid:
                self._began(bill, now)
                changed = True
        if self.promise is not None and self.promise.expires_at <= now:
            changed = True
        return changed

    def _began(self, bill: Bill, now: datetime) -> None:
        """A debt begins, or was there: its next charge is known or planned."""
        if bill.retry is not None:
            self.plans[bill.id] = bill.retry
        if bill.retry_at is not None:
            self.retry_at[bill.id], self.odds[bill.id] = bill.retry_at, bill.retry_probability
        else:
            self._plan(bill, now)

    def _plan(self, bill: Bill, now: datetime) -> None:
        plan = self.plans.get(bill.id)
        self.retry_at.pop(bill.id, None)
        if plan is None or bill.disputed or bill.in_plan:
            return
        answer = next_charge(plan, now)
        if isinstance(answer, PlannedRetry):
            self.retry_at[bill.id], self.odds[bill.id] = answer.at, answer.probability

    def charge(self, now: datetime) -> None:
        """Makes the charges whose moment has come; all are declined, for who pays is known beforehand."""
        for pk in [pk for pk, at in self.retry_at.items() if at <= now]:
            bill = self.bills[pk]
            plan = self.plans.get(pk)
            if self._at_rest():
                del self.retry_at[pk]
                continue
            if plan is not None and plan.not_before is not None and plan.not_before > now:
                self._plan(bill, now)
                continue
            self._tell(Kind.RETRY, now, invoices=(pk,), days=self._days((bill,), now), reason=self._odds(pk))
            if plan is not None:
                self.plans[pk] = declined(plan, now)
            self._plan(bill, now)

    def _odds(self, pk: int) -> str:
        chance = self.odds.get(pk)
        return "" if chance is None else _("Chance %(percent)d %%") % {"percent": round(100 * chance)}

    def _at_rest(self) -> bool:
        return self.promise is not None or self.life.excluded

    # --- the case

    def assess(self, now: datetime) -> None:
        """Opens, joins, rests, wakes and closes, as campaigns.engine.assessment judges it."""
        debts = {bill.id: self._debt(bill) for bill in self.life.bills if bill.since <= now}
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
                members=tuple(debts[pk] for pk in sorted(self.members)),
                paid_before=self._paid_before,
            )
        promise = self.promise and PromiseFact(
            self.promise.id, self.promise.amount, self.promise.expires_at, self.promise.paid
        )
        changes = assess(
            Standing(
                customer_id=self.life.customer_id,
                brand_id=self.life.brand_id,
                zone=self.life.zone,
                excluded=self.life.excluded,
                case=live,
                loose=tuple(debt for pk, debt in debts.items() if pk not in self.members and pk not in self.paid),
                promise=promise,
            ),
            self.offers,
            now,
        )
        for change in changes:
            self._apply(change, now)

    def _debt(self, bill: Bill) -> Debt:
        paid = bill.id in self.paid
        return Debt(
            id=bill.id,
            brand_id=self.life.brand_id,
            trigger=bill.trigger,
            since=bill.since,
            status=InvoiceStatus.PAID.value if paid else InvoiceStatus.OPEN.value,
            balance=0 if paid else bill.balance,
            disputed=bill.disputed,
            in_plan=bill.in_plan,
            finished=bill.id in self.finished,
        )

    def _apply(self, change: Assessment, now: datetime) -> None:
        if change.promise_status:
            self.promise = None
            for pk in self.members - self.paid:
                self._plan(self.bills[pk], now)
        self._paid_before = change.opening is None and (
            self._paid_before or any(outcome == InvoiceStatus.PAID for _pk, outcome in change.leaves)
        )
        self.members |= set(change.joins)
        self.members -= {pk for pk, _outcome in change.leaves}
        for told in change.told:
            if (kind := _TOLD.get(told.kind)) is not None:
                self._tell(kind, now, reason=told.summary)
        fields = change.fields
        if fields is None:
            return
        if fields.state in ENDS:
            self.case, self.next_action_at, self.members = None, None, set()
            if change.receipt:
                self._receipt(now)
            return
        if change.opening is not None:
            self.case = self._opened(change.opening.ladder, fields.anchor_at, fields.state)
        assert self.case is not None
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

    def _opened(self, ladder: LadderSpec, anchor_at: datetime, state: str) -> CaseSnapshot:
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
        )

    def _receipt(self, now: datetime) -> None:
        """The thank-you, at the first moment the guard lets it pass."""
        guard = self.life.guard._replace(case_state=CaseState.RECOVERED.value, purpose=MessagePurpose.RECEIPT.value)
        verdict = check(guard, _EMAIL, now)
        if isinstance(verdict, Blocked):
            return
        at = now if isinstance(verdict, Allowed) else verdict.until
        self._tell(Kind.RECEIPT, at, channel=_EMAIL, cost=self.costs.of(_EMAIL))

    # --- the ladder

    def look(self, now: datetime) -> None:
        """One look of the escalate loop at the case, and what comes of it."""
        assert self.case is not None
        pressed = [self.bills[pk] for pk in sorted(self.members) if self._pressed(pk)]
        facts = tuple(self._fact(bill) for bill in pressed)
        case = self.case._replace(invoices=facts, guard=self._guard(self.case, facts))
        decision = decide(case, now)
        if decision.woken:
            self._tell(Kind.WOKEN, now)
        for run in decision.runs:
            self._run(case, decision, run, pressed, now)
        for task in decision.tasks:
            if decision.outcome is not Outcome.BLOCKED and task.key not in self._asked:
                self._asked.add(task.key)
                self._tell(Kind.TASK, now, name=task.title)
        self._settle(case, decision, now)

    def _pressed(self, pk: int) -> bool:
        bill = self.bills[pk]
        return pk not in self.paid and not bill.disputed and not bill.in_plan

    def _fact(self, bill: Bill) -> InvoiceFact:
        return InvoiceFact(
            id=bill.id,
            currency=bill.currency,
            balance=bill.balance,
            decline_category=bill.decline_category,
            asks_for=bill.asks_for,
            retry_at=self.retry_at.get(bill.id),
            retry_probability=self.odds.get(bill.id),
            subscription_id=bill.subscription_id,
            subscription_status=bill.subscription_status,
        )

    def _guard(self, case: CaseSnapshot, facts: tuple[InvoiceFact, ...]) -> GuardSnapshot:
        return case.guard._replace(
            case_state=case.state,
            promised=self.promise is not None,
            contacts=self.contacts,
            owes=bool(facts),
        )

    def _run(
        self, case: CaseSnapshot, decision: Decision, run: RunRecord, pressed: Sequence[Bill], now: datetime
    ) -> None:
        acts = decision.act is not None and decision.act.id == run.step.id
        if not acts and not run.tell:
            return
        message = run.step.action == Action.MESSAGE
        kind = (Kind.SENT if message else Kind.TASK) if acts else _RUNS.get(run.decision, Kind.SKIPPED)
        self._tell(
            kind,
            now,
            step=run.step.key,
            name=run.step.name,
            channel=run.step.channel,
            rule=run.rule,
            reason=run.reason,
            until=decision.next_action_at if kind is Kind.DEFERRED else None,
            scheduled_for=run.scheduled_for,
            cost=self.costs.of(run.step.channel) if kind is Kind.SENT else 0,
            invoices=tuple(bill.id for bill in pressed),
            days=self._days(pressed, now),
            template_id=run.step.template_id,
        )
        if kind is Kind.SENT:
            self.contacts = (Contacted(run.step.channel, now), *self.contacts)

    def _settle(self, case: CaseSnapshot, decision: Decision, now: datetime) -> None:
        runs = dict(case.runs)
        for run in decision.runs:
            sent = decision.act is not None and decision.act.id == run.step.id and run.step.action == Action.MESSAGE
            status = MessageStatus.SENT.value if sent else ""
            runs[run.step.id] = RunFact(run.step.id, run.decision, now, run.rule, message_status=status)
        for pk in decision.quiet_invoices:
            if (plan := self.plans.get(pk)) is not None:
                until = now + decision.retry_quiet
                if plan.not_before is None or plan.not_before < until:
                    self.plans[pk] = plan._replace(not_before=until)
        if decision.outcome is Outcome.ENDED:
            self._tell(Kind.ENDED, now, reason=", ".join(decision.end_actions))
            self.finished |= self.members
            self.case, self.next_action_at, self.members = None, None, set()
            return
        self.case = case._replace(
            state=decision.state,
            anchor_at=decision.anchor_at,
            position=decision.position,
            runs=runs,
            last_decided_at=now if decision.runs else case.last_decided_at,
            rests_until=None if decision.woken else case.rests_until,
        )
        self.next_action_at = decision.next_action_at
        if decision.outcome is Outcome.BLOCKED and decision.next_action_at is not None:
            self.next_action_at = self._unblocked(self.case, decision.runs[-1].step, now, decision.next_action_at)

    def _unblocked(self, case: CaseSnapshot, step: StepSpec, now: datetime, again: datetime) -> datetime:
        """The first look that may find something else than a step that is not allowed.

        The loop asks every few hours whether a person has stepped in. Here none does, so the looks in between say
        the same again until another step falls due, except where a window or a retry has its say as well.
        """
        if step.window_days or step.window_from or step.window_to or step.business_days or self.retry_at:
            return again
        due, period = len(rungs.due(case, now, self.tz)), again - now
        while again < self.until and len(rungs.due(case, again, self.tz)) == due:
            again += period
        return again

    # --- telling

    def _days(self, bills: Sequence[Bill], at: datetime) -> int | None:
        if not bills:
            return None
        return (at.astimezone(self.tz).date() - min(bill.due_on for bill in bills)).days

    def _tell(self, kind: Kind, at: datetime, **fields: object) -> None:
        self.events.append(Event(self.life.key, at, self.life.zone, kind.value, **fields))  # type: ignore[arg-type]
