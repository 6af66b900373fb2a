"""Acts on many customers: tag, untag, exclude from dunning, do not contact; each in the log and in the history."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import F, Func, Value
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from customers.bulk.acts import BulkAct, Did, Params, Row, act_register
from customers.log import Entry, record_many
from customers.models import ActorKind, Customer
from customers.notes import EXCLUSIONS
from customers.services import customers_reassess
from customers.signals import announce_exclusions_changed

MODEL = "customers.Customer"
PERMISSION = "customers.change_customer"
#: What the row's column holds.
LONGEST_TAG = 50


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of customers. `unfit` says why one is left alone; `values` are written by one UPDATE to all that fit;
    `show` puts the same on the rows at hand, for their history; `before` is what taking it back needs."""

    kind: str
    fields: tuple[str, ...]
    unfit: Callable[[Customer, Row, Params], str]
    values: Callable[[Params], dict[str, Any]]
    show: Callable[[Customer, Params], None]
    summary: Callable[[Params], str]
    before: Callable[[Customer], dict[str, Any]] = lambda customer: {}

    def check(self, rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
        wanted = {row.id: row for row in rows}
        found = Customer.objects.filter(pk__in=wanted).only("deleted_at", *self.fields)
        unfit = {row.pk: self._why(row, wanted[row.pk], params) for row in found}
        gone = dict.fromkeys(wanted.keys() - unfit.keys(), _("It is not there any more."))
        return gone | {pk: why for pk, why in unfit.items() if why}

    def act(self, rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
        wanted = {row.id: row for row in rows}
        people = list(Customer.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True))
        did = {row.pk: Did.not_done(why) for row in people if (why := self._why(row, wanted[row.pk], params))}
        fit = [row for row in people if row.pk not in did]
        if not fit:
            return did
        did |= {row.pk: Did(before=self.before(row)) for row in fit}
        Customer.objects.filter(pk__in=[row.pk for row in fit]).update(**self.values(params))
        for row in fit:
            self.show(row, params)
            if EXCLUSIONS.intersection(self.fields):
                announce_exclusions_changed(row.pk)
        actor = get_user_model().objects.get(pk=actor_id)
        Customer.history.bulk_history_create(fit, update=True, default_user=actor)
        customers_reassess([row.pk for row in fit], now)
        record_many(
            Entry(
                customer_id=row.pk,
                at=now,
                kind=self.kind,
                summary=self.summary(params),
                body=str(params.get("reason", "")),
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                data={"fields": list(self.fields)} | ({"tag": params["tag"]} if "tag" in params else {}),
            )
            for row in fit
        )
        return did

    def _why(self, customer: Customer, row: Row, params: Params) -> str:
        if customer.deleted_at is not None:
            return _("Deleted at the source.")
        return self.unfit(customer, row, params)


def _tagged(customer: Customer, params: Params) -> bool:
    return "tag" in params and params["tag"] in customer.tags


def _tagging(*, add: bool) -> _Change:
    def unfit(customer: Customer, row: Row, params: Params) -> str:
        if "tag" not in params or _tagged(customer, params) is not add:
            return ""
        return _("Has this tag already.") if add else _("Does not have this tag.")

    def show(customer: Customer, params: Params) -> None:
        rest = [tag for tag in customer.tags if tag != params["tag"]]
        customer.tags = [*rest, params["tag"]] if add else rest

    function = "array_append" if add else "array_remove"
    words = gettext_lazy("Tagged “%(tag)s”.") if add else gettext_lazy("Tag “%(tag)s” taken away.")
    return _Change(
        kind="customer.tagged" if add else "customer.untagged",
        fields=("tags",),
        unfit=unfit,
        values=lambda params: {"tags": Func(F("tags"), Value(params["tag"]), function=function)},
        show=show,
        summary=lambda params: str(words) % {"tag": params["tag"]},
    )


def _excluding(field: str, *, on: bool, already: Any, words: Any) -> _Change:
    """Sets a flag with its reason, or takes back what the job at hand had set."""

    def unfit(customer: Customer, row: Row, params: Params) -> str:
        if getattr(customer, field) is on:
            return str(already)
        if not on and customer.exclusion_reason != str(params.get("reason", ""))[:255]:
            return _("Changed since.")
        return ""

    def values(params: Params) -> dict[str, Any]:
        return {field: on, "exclusion_reason": str(params["reason"])[:255] if on else ""}

    def show(customer: Customer, params: Params) -> None:
        for name, value in values(params).items():
            setattr(customer, name, value)

    return _Change(
        kind="customer.edited",
        fields=(field, "exclusion_reason"),
        unfit=unfit,
        values=values,
        show=show,
        summary=lambda params: str(words),
    )


def _register(slug: str, label: Any, change: _Change, undo: str = "") -> None:
    act_register(
        BulkAct(
            slug=slug, label=label, permission=PERMISSION, model=MODEL, check=change.check, act=change.act, undo=undo
        )
    )


_register("customers.tag", gettext_lazy("Tag"), _tagging(add=True), undo="customers.untag")
_register("customers.untag", gettext_lazy("Take a tag away"), _tagging(add=False), undo="customers.tag")
_register(
    "customers.no_dunning",
    gettext_lazy("Exclude from dunning"),
    _excluding(
        "no_dunning",
        on=True,
        already=gettext_lazy("Excluded already."),
        words=gettext_lazy("Excluded from dunning."),
    ),
    undo="customers.dunning_again",
)
_register(
    "customers.dunning_again",
    gettext_lazy("Lift the exclusion from dunning"),
    _excluding(
        "no_dunning",
        on=False,
        already=gettext_lazy("Is not excluded."),
        words=gettext_lazy("No longer excluded from dunning."),
    ),
)
_register(
    "customers.do_not_contact",
    gettext_lazy("Do not contact"),
    _excluding(
        "do_not_contact",
        on=True,
        already=gettext_lazy("Is not contacted already."),
        words=gettext_lazy("Not to be contacted."),
    ),
    undo="customers.contact_again",
)
_register(
    "customers.contact_again",
    gettext_lazy("Allow contact again"),
    _excluding(
        "do_not_contact",
        on=False,
        already=gettext_lazy("May be contacted."),
        words=gettext_lazy("May be contacted again."),
    ),
)
