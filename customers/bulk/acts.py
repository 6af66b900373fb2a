"""Owns the register of acts on many rows: what each needs, checks, does, and how it is taken back."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.apps import apps
from django.db import transaction
from django.utils.translation import gettext as _

from customers.errors import SollecitoError
from customers.models import BulkJob

#: Rows locked and written together.
BATCH = 500

Words = Any  # str or lazy translation
#: What the act's form said, as JSON holds it.
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One row to be acted on; `before` is what the job that is being taken back noted of it."""

    id: int
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Did:
    """What became of one row: done, or left alone for `reason`. `before` is what taking it back needs, as JSON."""

    done: bool = True
    reason: str = ""
    before: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def not_done(cls, reason: str) -> "Did":
        return cls(done=False, reason=reason)


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What came of doing one thing to a handful of rows at once: how many were changed, and how many were passed over,
    by the reason in words."""

    done: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)


class SecondPerson(Protocol):
    """Asks somebody else before a job is carried out; the app of the act knows whom, and for what.

    Whoever answers calls `customers.bulk.jobs.job_release` or `job_refuse`.
    """

    def needed(self, job: BulkJob, now: datetime) -> str:
        """Who has to agree to what waits in the job, in words; empty where nobody has to. Writes nothing."""
        ...

    def ask(self, job: BulkJob, now: datetime) -> None:
        """Asks them, in the transaction that confirms the job."""
        ...

    def shown_to(self, user: Any) -> Collection[int]:
        """Ids of others' jobs this person decides, or decided, about, and so looks at; asked of people who do not see
        every customer."""
        ...


@dataclass(frozen=True, slots=True)
class BulkAct:
    """Something done to many rows of `model` by their ids.

    `check` says of each row that cannot be acted on why not, and writes nothing; it is asked when rows are counted,
    perhaps before `params` are known (empty then). `act` is called with a chunk in the transaction that notes its
    outcomes: it locks, checks again, writes and logs, in a fixed number of statements, and calls nothing outside.
    Rows it says nothing about are gone.
    """

    slug: str
    label: Words
    permission: str
    model: str
    check: Callable[[Sequence[Row], Params, datetime], Mapping[int, str]]
    act: Callable[[Sequence[Row], Params, int, datetime], Mapping[int, Did]]
    #: Slug of the act that takes it back, or why there is none.
    undo: str = ""
    no_undo: Words = ""
    #: Who asks a second person, where the act may need one.
    second_person: SecondPerson | None = None
    #: What is at stake in rows as they are now, in words by id, and what that is called; for acts about money.
    stake: tuple[Words, Callable[[Collection[int]], Mapping[int, str]]] | None = None


_acts: dict[str, BulkAct] = {}


def act_register(act: BulkAct) -> BulkAct:
    """Makes an act known under its slug; returns it."""
    _acts[act.slug] = act
    return act


def act_named(slug: str) -> BulkAct:
    """Raises SollecitoError (`act_unknown`) for one no app registered."""
    act = act_known(slug)
    if act is None:
        raise SollecitoError(_("There is no bulk act “%(slug)s”.") % {"slug": slug}, code="act_unknown")
    return act


def act_known(slug: str) -> BulkAct | None:
    """None for an act of a version before this one: what it did is still looked at."""
    return _acts.get(slug)


def second_persons() -> list[SecondPerson]:
    """Those who ask a second person about acts, each once."""
    return list({id(act.second_person): act.second_person for act in _acts.values() if act.second_person}.values())


@transaction.atomic
def act_on_one(*, slug: str, row_id: int, params: Params, actor_id: int, now: datetime) -> None:
    """Carries an act out on a single row, as its own page does. Raises SollecitoError where the row is left alone."""
    did = act_named(slug).act([Row(row_id)], params, actor_id, now).get(row_id)
    if did is None or not did.done:
        raise SollecitoError(did.reason if did else _("It is not there any more."), code="left_alone")


def batches(ids: Collection[int], size: int = BATCH) -> Iterator[list[int]]:
    """The ids in order, each once, `size` at a time: two people at work on the same rows lock them in one order."""
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def owners(act: BulkAct, ids: Collection[int]) -> dict[int, tuple[str, int | None, str]]:
    """Each row's own name, its customer's id and that one's name; rows that are gone are missing. One query."""
    model = apps.get_model(act.model)
    if act.model == "customers.Customer":
        return {row.pk: (str(row), row.pk, str(row)) for row in model._default_manager.filter(pk__in=list(ids))}
    rows = model._default_manager.filter(pk__in=list(ids)).select_related("customer")
    return {row.pk: (str(row), row.customer_id, str(row.customer)) for row in rows}
