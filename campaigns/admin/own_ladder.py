"""The ladder of one customer's own on the customer page: shown to everybody, set and taken away by managers."""

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from campaigns.admin.columns import link
from campaigns.models import Ladder, LadderOverride, VersionStatus
from campaigns.services.own_ladders import ladder_in_use, ladder_override_clear, ladder_override_set
from customers.admin.customer import CustomerAdmin
from customers.admin.page import Asked, Fact, PageAction
from customers.display import badge
from customers.models import Customer


class WhyForm(forms.Form):
    """Why; stands beside the ladder and in the log."""

    reason = forms.CharField(label=_("Why"), max_length=255, widget=UnfoldAdminTextInputWidget)


class LadderField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A ladder, offered with what it answers to: names alone do not say it."""

    def label_from_instance(self, obj: Any) -> str:
        words = f"{obj} · {obj.get_trigger_display()}"
        return f"{words} · {obj.brand}" if obj.brand else words


class OwnLadderForm(WhyForm):
    """Which of the ladders in use."""

    ladder = LadderField(
        label=_("Ladder"),
        queryset=Ladder.objects.filter(active=True, versions__status=VersionStatus.PUBLISHED)
        .distinct()
        .select_related("brand"),
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("ladder", "reason")


def _own(customer: Customer) -> LadderOverride | None:
    """What is set for the customer; asked of the database once for each row in hand."""
    return getattr(customer, "ladder_override", None)


def _fact(request: HttpRequest, customer: Customer, now: datetime) -> list[Fact]:
    own = _own(customer)
    if own is None or not request.user.has_perm("campaigns.view_ladderoverride"):
        return []
    shown = link("campaigns_ladder", own.ladder_id, own.ladder)
    return [Fact(_("Own ladder"), format_html("{}<span class='sol-sub'>{}</span>", shown, own.reason), 45)]


def own_ladder(customer: Customer) -> dict[str, Any]:
    """Context of admin/campaigns/customer/ladder.html."""
    own = LadderOverride.objects.filter(customer=customer).select_related("ladder", "actor").first()
    if own is None:
        return {"own": None}
    idle = "" if ladder_in_use(own.ladder) else badge(_("not in use"), "warning")
    return {"own": own, "link": link("campaigns_ladder", own.ladder_id, own.ladder), "idle": idle}


def _set(asked: Asked) -> str:
    changed = ladder_override_set(
        customer_id=asked.obj.pk,
        ladder_id=asked.data["ladder"].pk,
        actor_id=asked.actor_id,
        now=asked.now,
        reason=asked.data["reason"],
    )
    return _now("The customer's next case follows this ladder.") if changed else _now("Nothing has changed.")


def _clear(asked: Asked) -> str:
    ladder_override_clear(
        customer_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now, reason=asked.data["reason"]
    )
    return _now("Audience and priority choose the customer's next ladder again.")


def _as_it_is(customer: Customer, now: datetime) -> dict[str, Any]:
    own = _own(customer)
    return {"ladder": own.ladder_id, "reason": own.reason} if own is not None else {}


CustomerAdmin.add_fact(_fact)
CustomerAdmin.add_action(
    PageAction(
        slug="own-ladder",
        label=_("Own ladder …"),
        icon="stairs",
        permission="campaigns.change_ladderoverride",
        question=_(
            "The next case follows this ladder, whatever audiences and priorities say. A live case keeps its own, and "
            "“no dunning” wins over every ladder."
        ),
        form=OwnLadderForm,
        initial=_as_it_is,
        run=_set,
        order=60,
    )
)
CustomerAdmin.add_action(
    PageAction(
        slug="own-ladder-clear",
        label=_("Take the own ladder away"),
        icon="layers_clear",
        permission="campaigns.change_ladderoverride",
        question=_("Audience and priority choose the ladder of the next case again. A live case keeps its own."),
        form=WhyForm,
        fits=lambda customer: _own(customer) is not None,
        run=_clear,
        order=61,
    )
)
