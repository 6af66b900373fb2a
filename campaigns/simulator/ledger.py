"""What is owed in a life at a moment of the virtual calendar: debts that begin, payments, charges in between. Pure."""

from collections.abc import Callable, Collection
from datetime import datetime

from django.utils.translation import gettext as _

from billing.models.invoice import InvoiceStatus
from billing.retries.types import PlannedRetry
from campaigns.engine.standing import Debt, Occasion
from campaigns.engine.types import InvoiceFact
from campaigns.models.ladder import Trigger
from campaigns.simulator.retries import declined, next_charge
from campaigns.simulator.types import Bill, Kind, Life, RetryPlan

#: Tells of something that happens to a bill at a moment: kind, bill, moment, words.
Tell = Callable[[Kind, Bill, datetime, str], None]


class Ledger:
    """Mutable, one per life. Charges are declined until the bill is paid: who pays when is known beforehand."""

    def __init__(self, life: Life, now: datetime, tell: Tell) -> None:
        self.brand_id = life.brand_id
        self.bills = {bill.id: bill for bill in life.bills}
        self.paid: set[int] = set()
        #: Marked uncollectible or written off by a step.
        self.given_up: set[int] = set()
        #: Of a case that ended unpaid: they do not start another.
        self.finished: set[int] = set()
        self.retry_at: dict[int, datetime] = {}
        self._tell = tell
        self._odds: dict[int, float | None] = {}
        self._plans: dict[int, RetryPlan] = {}
        for bill in life.bills:
            if bill.paid_at is not None and bill.paid_at <= now:
                self.paid.add(bill.id)
            elif bill.since <= now:
                self._begin(bill, now)

    # --- time

    def moments(self) -> set[datetime]:
        """Every moment known beforehand at which facts change."""
        found = {bill.since for bill in self.bills.values()}
        found |= {bill.paid_at for bill in self.bills.values() if bill.paid_at is not None}
        return found | {bill.known_at for bill in self.bills.values() if bill.known_at is not None}

    def advance(self, before: datetime, now: datetime) -> bool:
        """Lets in what became true after `before` up to `now`; says whether anything did."""
        changed = False
        for bill in self.bills.values():
            if bill.paid_at is not None and before < bill.paid_at <= now and bill.id not in self.paid:
                self.paid.add(bill.id)
                self.retry_at.pop(bill.id, None)
                if bill.since < bill.paid_at:
                    self._tell(Kind.PAID, bill, bill.paid_at, "")
                changed = True
            elif bill.id not in self.paid and before < bill.since <= now:
                self._begin(bill, now)
                changed = True
            elif bill.known_at is not None and before < bill.known_at <= now:
                changed = True
        return changed

    # --- charges

    def _begin(self, bill: Bill, now: datetime) -> None:
        """A debt begins, or was there: its next charge is known or planned."""
        if bill.retry is not None:
            self._plans[bill.id] = bill.retry
        if bill.retry_at is not None:
            self.retry_at[bill.id], self._odds[bill.id] = bill.retry_at, bill.retry_probability
        else:
            self.plan(bill.id, now)

    def plan(self, pk: int, now: datetime) -> None:
        """Plans the next charge of a bill at `now`, in place of the one there was."""
        plan, bill = self._plans.get(pk), self.bills[pk]
        self.retry_at.pop(pk, None)
        if plan is None or not self.pressed(pk) or bill.since > now:
            return
        answer = next_charge(plan, now)
        if isinstance(answer, PlannedRetry):
            self.retry_at[pk], self._odds[pk] = answer.at, answer.probability

    def charge(self, now: datetime, *, resting: bool) -> None:
        """Makes the charges whose moment has come; none of a customer who `rests`."""
        for pk in [pk for pk, at in self.retry_at.items() if at <= now]:
            plan = self._plans.get(pk)
            if resting:
                del self.retry_at[pk]
            elif plan is not None and plan.not_before is not None and plan.not_before > now:
                self.plan(pk, now)
            else:
                self._charge(pk, now)

    def charge_now(self, pks: Collection[int], now: datetime) -> None:
        """A step has asked for a charge at once."""
        for pk in pks:
            if pk in self._plans:
                self._charge(pk, now)

    def _charge(self, pk: int, now: datetime) -> None:
        chance, plan = self._odds.get(pk), self._plans.get(pk)
        words = "" if chance is None else _("Chance %(percent)d %%") % {"percent": round(100 * chance)}
        self._tell(Kind.RETRY, self.bills[pk], now, words)
        if plan is not None:
            self._plans[pk] = declined(plan, now)
        self.plan(pk, now)

    def quiet(self, pks: Collection[int], until: datetime) -> None:
        """No charge of these before `until`: their owner has just been asked for another card."""
        for pk in pks:
            plan = self._plans.get(pk)
            if plan is not None and (plan.not_before is None or plan.not_before < until):
                self._plans[pk] = plan._replace(not_before=until)

    def give_up(self, pks: Collection[int]) -> None:
        """A step has marked these uncollectible."""
        self.given_up |= set(pks)
        for pk in pks:
            self.retry_at.pop(pk, None)

    # --- as the engine sees it

    def pressed(self, pk: int) -> bool:
        """True for a bill that is owed and neither disputed nor in a plan."""
        bill = self.bills[pk]
        return pk not in self.paid and pk not in self.given_up and not bill.disputed and not bill.in_plan

    def debt(self, pk: int) -> Debt:
        """The bill as the assessment sees it."""
        bill = self.bills[pk]
        status = InvoiceStatus.OPEN
        if pk in self.paid:
            status = InvoiceStatus.PAID
        elif pk in self.given_up:
            status = InvoiceStatus.UNCOLLECTIBLE
        return Debt(
            id=pk,
            brand_id=self.brand_id,
            trigger=bill.trigger,
            since=bill.since,
            status=status.value,
            balance=bill.balance if status == InvoiceStatus.OPEN else 0,
            disputed=bill.disputed,
            in_plan=bill.in_plan,
            finished=pk in self.finished,
        )

    def loose(self, members: Collection[int], now: datetime) -> tuple[Debt, ...]:
        """Debts that have begun, are owed, and are in no case."""
        return tuple(
            self.debt(pk)
            for pk, bill in self.bills.items()
            if bill.since <= now and pk not in members and pk not in self.paid and pk not in self.given_up
        )

    def occasions(self, now: datetime) -> tuple[Occasion, ...]:
        """Bills that are known and not due yet, soonest first."""
        coming = [
            bill
            for bill in self.bills.values()
            if bill.known_at is not None and bill.known_at <= now < bill.since and self.pressed(bill.id)
        ]
        coming.sort(key=lambda bill: (bill.since, bill.id))
        return tuple(
            Occasion(Trigger.INVOICE_DUE.value, bill.since, invoice_id=bill.id, finished=bill.id in self.finished)
            for bill in coming
        )

    def fact(self, pk: int) -> InvoiceFact:
        """The bill as `decide` sees it."""
        bill = self.bills[pk]
        return InvoiceFact(
            id=pk,
            currency=bill.currency,
            balance=bill.balance,
            decline_category=bill.decline_category,
            asks_for=bill.asks_for,
            retry_at=self.retry_at.get(pk),
            retry_probability=self._odds.get(pk),
            subscription_id=bill.subscription_id,
            subscription_status=bill.subscription_status,
        )
