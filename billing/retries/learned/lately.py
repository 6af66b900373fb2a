"""Owns the beliefs worked out lately: an invoice is asked about several times, and after a refusal once more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from billing.retries.learned.abreast import believed, further
from billing.retries.learned.belief import Belief
from billing.retries.learned.habits import Habits
from billing.retries.learned.histories import Hours, row_of
from billing.retries.learned.hypotheses import Charges, Person
from billing.retries.types import PastAttempt, RetryContext

_Key = tuple[str, str, Person, int, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """An invoice with its attempts, whose customer is meant, and what that one was charged before."""

    context: RetryContext
    attempts: Sequence[PastAttempt]
    person: Person
    before: Sequence[Hours]

    def key(self, known: int) -> _Key | None:
        """Under what the belief after `known` attempts is kept; None where customer or invoice have no name."""
        context = self.context
        if not context.customer_id or not context.invoice_id:
            return None
        return context.customer_id, context.invoice_id, self.person, len(self.before), known

    def everything(self) -> Charges:
        """Its attempts after what was charged before."""
        return Charges.of([*self.before, *(row_of(a, self.context.timezone)[:4] for a in self.attempts)])


class Beliefs:
    """The newest `most` beliefs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[_Key, Belief] = OrderedDict()

    def clear(self) -> None:
        """Forget all: the habits have changed."""
        self._kept.clear()

    def of(self, asked: Sequence[Asked], habits: Habits) -> list[Belief]:
        """What is believed after each one's charges; what is not known yet is worked out side by side."""
        known = [len(each.attempts) for each in asked]
        found = {n: held for n, each in enumerate(asked) if (held := self._held(each, known[n])) is not None}
        missing = [n for n in range(len(asked)) if n not in found]
        bases = {n: held for n in missing if (held := self._held(asked[n], known[n] - 1)) is not None}
        taken = {n: len(asked[n].before) + (known[n] - 1 if n in bases else 0) for n in missing}
        new = [n for n in missing if n not in bases]
        made = believed([asked[n].person for n in new], [Charges.of(asked[n].before) for n in new], habits)
        bases |= zip(new, made, strict=True)
        more = [asked[n].everything().after(taken[n]) for n in missing]
        made = further([bases[n] for n in missing], [asked[n].person for n in missing], more, habits)
        for n, belief in zip(missing, made, strict=True):
            found[n] = belief
            key = asked[n].key(known[n])
            if key is not None:
                self._kept[key] = belief
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return [found[n] for n in range(len(asked))]

    def _held(self, asked: Asked, known: int) -> Belief | None:
        key = asked.key(known)
        return self._kept.get(key) if key is not None else None
