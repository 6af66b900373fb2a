"""The audit tab of the customer page: every edit of the customer's records, with who made it and what it changed."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from customers.admin.page import Section
from customers.models import Customer

#: Newest edits of each kind of record.
LIMIT = 200
_KINDS = {"+": (_("Added"), "success"), "~": (_("Changed"), "info"), "-": (_("Deleted"), "danger")}
_NOT_TOLD = frozenset({"id", "history_id", "history_date", "history_change_reason", "history_type", "history_user"})


@dataclass(frozen=True, slots=True)
class Change:
    """One field's value before and after, as people read it."""

    name: Any
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Edit:
    """One version of one record. `actor` is None where no member of staff was logged in (a fact, a loop)."""

    at: datetime
    what: Any
    row: str
    word: Any
    tone: str
    actor: Any
    reason: str
    changes: tuple[Change, ...]


@lru_cache(maxsize=1)
def _recorded() -> tuple[tuple[type[Model], str], ...]:
    """The models with a history that are about one customer, each with the column that says which."""
    found: list[tuple[type[Model], str]] = [(Customer, "id")]
    for model in apps.get_models():
        if not hasattr(model, "history") or model is Customer:
            continue
        if any(f.name == "customer" and f.related_model is Customer for f in model._meta.concrete_fields):
            found.append((model, "customer_id"))
    return tuple(found)


def edits_of(request: HttpRequest, customer: Customer) -> list[Edit]:
    """The edits of what the reader may see, newest first: one query for each kind of record."""
    found: list[Edit] = []
    for model, column in _recorded():
        opts = model._meta
        if not request.user.has_perm(f"{opts.app_label}.view_{opts.model_name}"):
            continue
        history: Any = model.history  # type: ignore[attr-defined]
        # One more than is shown: the oldest shown is compared with it.
        rows = list(
            history.filter(**{column: customer.pk}).select_related("history_user").order_by("-history_id")[: LIMIT + 1]
        )
        versions: dict[Any, list[Any]] = defaultdict(list)
        for row in rows:
            versions[row.id].append(row)
        for same in versions.values():
            found += [_edit(model, new, old) for new, old in zip(same, [*same[1:], None], strict=True)]
    return sorted((edit for edit in found if edit.changes or edit.tone != "info"), key=lambda e: e.at, reverse=True)


def _edit(model: type[Model], new: Any, old: Any) -> Edit:
    word, tone = _KINDS[new.history_type]
    return Edit(
        at=new.history_date,
        what=model._meta.verbose_name,
        row=str(new.instance) if model is not Customer else "",
        word=word,
        tone=tone,
        actor=new.history_user,
        reason=new.history_change_reason or "",
        changes=_changes(new, old) if new.history_type == "~" and old is not None else (),
    )


def _changes(new: Any, old: Any) -> tuple[Change, ...]:
    found = []
    for field in new._meta.concrete_fields:
        if field.name in _NOT_TOLD or field.name.startswith("history_"):
            continue
        before, after = getattr(old, field.attname), getattr(new, field.attname)
        if before != after:
            found.append(Change(field.verbose_name, _words(field, old, before), _words(field, new, after)))
    return tuple(found)


def _words(field: Any, row: Any, value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    if field.choices:
        return str(getattr(row, f"get_{field.name}_display")())
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    return str(value)


def _audit(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    return {"edits": edits_of(request, customer)[:LIMIT]}


SECTION = Section("audit", _("Audit"), "admin/customers/customer/audit.html", _audit, "customers.view_customer", 90)
