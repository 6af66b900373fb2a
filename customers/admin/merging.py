"""Merging duplicates on the customer page: who is alike, both side by side with what moves, and the one decision."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from customers.admin.page import Asked, PageAction
from customers.duplicates import duplicates_of, groups_find
from customers.errors import SollecitoError
from customers.merging import FILLED, STRICT, customers_merge, merge_plan
from customers.models import Customer
from customers.visibility import seen

PERMISSION = "customers.merge_customer"
#: What is compared, in this order.
_COMPARED = (
    "name", "email", "phone", "vat_id", "postal_address", "country", "language", "timezone", "kind", "source",
    "external_id", "created_at", *STRICT,
)  # fmt: skip


class MergeForm(forms.Form):
    """Why, and that it is meant; which customer is merged stands in the page."""

    reason = forms.CharField(label=_("Why they are one"), max_length=500, widget=UnfoldAdminTextInputWidget)
    sure = forms.BooleanField(label=_("I know that a merge cannot be taken back"))


def _other(request: HttpRequest, customer: Customer) -> Customer | None:
    """The customer named by `with`: a number of ours, or an id at the source."""
    given = (request.POST if request.method == "POST" else request.GET).get("with", "").strip().lstrip("#")
    if not given:
        return None
    rows = seen(Customer.objects.select_related("brand"), request.user).exclude(pk=customer.pk)
    found = rows.filter(pk=int(given)).first() if given.isdecimal() and len(given) < 19 else None
    return found or rows.filter(external_id=given).first()


def _load(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    other = _other(request, customer)
    if other is None:
        return {
            "duplicates": duplicates_of(customer, seen(Customer.objects.all(), request.user)),
            "not_found": "with" in request.GET and bool(request.GET["with"]),
            "refused": True,
        }
    plan = merge_plan(kept=customer, merged=other)
    return {
        "other": other,
        "compared": [_row(name, customer, other) for name in _COMPARED],
        "plan": plan,
        "refused": bool(plan.objections),
    }


def _row(name: str, kept: Customer, merged: Customer) -> dict[str, Any]:
    field: Any = Customer._meta.get_field(name)

    def words(row: Customer) -> Any:
        value = getattr(row, f"get_{name}_display")() if field.choices else getattr(row, name)
        return (_now("yes") if value else _now("no")) if isinstance(value, bool) else value or "–"

    mine, theirs = getattr(kept, name), getattr(merged, name)
    after = kept
    if (name in STRICT and theirs) or (name in FILLED and not mine and theirs):
        after = merged
    return {"name": field.verbose_name, "kept": words(kept), "merged": words(merged), "after": words(after),
            "differs": mine != theirs}  # fmt: skip


def _merge(asked: Asked) -> str:
    other = _other(asked.request, asked.obj)
    if other is None:
        raise SollecitoError(_now("Choose the customer to merge."), code="merge_pair")
    moved = customers_merge(
        kept_id=asked.obj.pk,
        merged_id=other.pk,
        reason=asked.data["reason"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("%(name)s is merged into this customer: %(count)d records came along.") % {
        "name": other,
        "count": sum(moved.values()),
    }


def duplicates_view(request: HttpRequest) -> HttpResponse:
    """Every group of likely duplicates, the newest first."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    context = admin.site.each_context(request) | {
        "title": _now("Likely duplicates"),
        "opts": Customer._meta,
        "groups": groups_find(seen(Customer.objects.all(), request.user)),
    }
    return TemplateResponse(request, "admin/customers/customer/duplicates.html", context)


ACTION = PageAction(
    slug="merge",
    label=_("Merge a duplicate"),
    icon="merge",
    permission=PERMISSION,
    question=_("Everything of the other customer moves to this one; later facts about the other come here, too."),
    form=MergeForm,
    run=_merge,
    details="admin/customers/customer/merge.html",
    load=_load,
    danger=True,
    order=92,
)
