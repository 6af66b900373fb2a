"""A small learning strategy and rows for it: what the champion's machinery is tried with."""

import json
from datetime import timedelta

from billing.models import RetryModel
from billing.retries.champion.learnable import Effect
from billing.retries.champion.loading import checksum
from billing.retries.planner import Proposal
from billing.retries.strategies import RuleStrategy
from tests.factories import NOW


class Approvals(RuleStrategy):
    """Learns the share of approved retries, and charges six hours after the rules would."""

    name = "learned"

    def __init__(self):
        self.rows, self.approved, self.told = 0, 0, []

    def fit(self, rows):
        for row in rows:
            if row["attempt_number"] > 0:
                self.rows += 1
                self.approved += row["approved"]

    def observe(self, context, attempt):
        if (context.invoice_id, attempt.at) not in self.told:
            self.told.append((context.invoice_id, attempt.at))

    def propose(self, question):
        proposal = super().propose(question)
        return Proposal(proposal.at + timedelta(hours=6), "what was learned", "learned.test")

    def probability(self, question, at):
        return (self.approved + 1) / (self.rows + 2)

    def save(self):
        return json.dumps([self.rows, self.approved]).encode()

    def load(self, data):
        self.rows, self.approved = json.loads(data)

    def describe(self):
        return [Effect("Retries", "approved", self.probability(None, None), self.rows)]


class Failing(Approvals):
    """Loads, and then fails on every invoice."""

    def propose(self, question):
        raise ZeroDivisionError("no charges of this kind")


class Together(Approvals):
    """Remembers of which invoices it was told before it was asked about them, and what it was then asked."""

    prepared: list[list[str]] = []
    unforeseen: list[str] = []

    def prepare(self, asked):
        self.prepared.append([context.invoice_id for context, _attempts in asked])

    def propose(self, question):
        if question.context.invoice_id not in self.prepared[-1]:
            self.unforeseen.append(question.context.invoice_id)
        return super().propose(question)


class Overwhelmed(Approvals):
    """Fails where many are told of at once."""

    def prepare(self, asked):
        raise MemoryError("so many")


def stored(state=RetryModel.State.CHAMPION, *, rows=100, approved=40, **fields):
    """A stored model of Approvals."""
    data = json.dumps([rows, approved]).encode()
    values = {
        "strategy": "learned",
        "fitted_at": NOW,
        "trained_until": NOW - timedelta(days=28),
        "trained_from": NOW - timedelta(days=300),
        "rows": rows,
        "customers": 50,
        "data": data,
        "checksum": checksum(data),
    }
    return RetryModel.objects.create(state=state, **(values | fields))
