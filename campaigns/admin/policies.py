"""Admin of contact rules: all policies at a glance, and managers' own over the shipped ones, with what differs."""

from datetime import datetime
from typing import Any

from babel import Locale
from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from campaigns.admin.policy_form import PolicyForm, fields_of
from campaigns.guard.overrides import current_book
from campaigns.guard.policy import RULES, shipped
from campaigns.guard.words import BASES, CHANNELS, LABELS, differences, value_words
from campaigns.models import PolicyOverride
from campaigns.services.policies import policy_save, policy_withdraw, rules_shipped, rules_with
from customers import clock
from customers.admin.base import HistoryAdmin, NoDeleteMixin
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section
from customers.display import badge


def _differences(request: HttpRequest, row: PolicyOverride, now: datetime) -> dict[str, Any]:
    policy = rules_with(row)
    found = [] if policy.unreadable else differences(rules_shipped(row), policy)
    return {"differences": [(item, BASES[item.ground.basis]) for item in found], "unreadable": policy.unreadable}


def _facts(request: HttpRequest, row: PolicyOverride, now: datetime) -> list[Fact]:
    return [
        Fact(_("Policy"), title(row.code), 10),
        Fact(_("Brand"), str(row.brand or _("All brands")), 20),
        Fact(_("In force"), state(row, now), 30),
        Fact(_("Why"), row.note, 40),
    ]


def title(code: str) -> str:
    """A policy's name for people: the file's title, or the country's name."""
    file = shipped().get(code)
    if file is not None:
        return file.title
    territories = Locale.parse(get_language() or "en", sep="-").territories
    return str(territories.get(code.upper(), code))


def state(row: PolicyOverride, now: datetime) -> Any:
    """Whether the rules hold, in a badge."""
    if row.withdrawn_at:
        return badge(_("withdrawn"))
    if row.valid_from > now.date():
        return badge(_("from %(day)s") % {"day": row.valid_from.isoformat()}, "info")
    return badge(_("in force"), "success")


def _withdraw(asked: Asked) -> str:
    policy_withdraw(override_id=asked.obj.pk, now=asked.now)
    return _now("The shipped rules hold again from the next message on.")


def table(code: str, now: datetime) -> list[dict[str, Any]]:
    """The rules of one policy as they hold today, managers' own counted in: one row per channel."""
    book = current_book()
    policy, business = (book.resolve(code, now.date(), kind) for kind in ("consumer", "business"))
    told: list[tuple[Any, Any, Any]] = [(channel, policy.rules(channel), "") for channel in CHANNELS]
    told += [
        (channel, business.rules(channel), _("businesses"))
        for channel in CHANNELS
        if business.rules(channel) is not policy.rules(channel)
    ]
    rows = []
    for channel, rules, whom in told:
        ground = rules.ground("open")
        limits = [
            f"{LABELS[name]}: {value_words(rules, name)}"
            for name in RULES
            if name not in ("open", "consent") and value_words(rules, name) != "–"
        ]
        rows.append(
            {
                "channel": channel.label,
                "whom": whom,
                "hours": value_words(rules, "open"),
                "limits": limits,
                "consent": value_words(rules, "consent"),
                "basis": BASES[ground.basis],
                "source": ground.source,
                "grounds": [(LABELS[name], BASES[own.basis], own.source) for name, own in rules.because.items()],
                "policy": title(rules.policy),
                "own": rules.own,
            }
        )
    return rows


@admin.register(PolicyOverride)
class PolicyOverrideAdmin(PageAdmin, NoDeleteMixin, HistoryAdmin):
    empty_text = _("The rules above hold as they come. Add your own where yours are to differ.")
    form = PolicyForm
    list_display = ("policy", "brand", "valid_from", "in_force", "note")
    list_select_related = ("brand",)
    list_filter = (("brand", RelatedDropdownFilter),)
    search_prefix = ("code",)
    ordering = ("code", "-valid_from", "-id")
    list_before_template = "admin/campaigns/policyoverride/policies.html"
    page_details_title = _("Change")
    page_facts = [_facts]
    page_sections = [
        Section(
            "differences",
            _("What differs"),
            "admin/campaigns/policyoverride/differences.html",
            _differences,
            "campaigns.view_policyoverride",
            10,
        )
    ]
    page_actions = [
        PageAction(
            slug="withdraw",
            label=_("Back to the shipped rules"),
            icon="undo",
            permission="campaigns.change_policyoverride",
            question=_("These rules end now, in every process, from the next message on. They stay in the history."),
            fits=lambda row: row.withdrawn_at is None,
            run=_withdraw,
            danger=True,
        )
    ]

    def page_title(self, obj: PolicyOverride) -> str:
        return f"{title(obj.code)} · {obj.valid_from}"

    def get_fieldsets(self, request: HttpRequest, obj: PolicyOverride | None = None) -> Any:
        own = (("code", "brand"), ("valid_from", "audience"), "note", "starting_from")
        tabs = [(channel.label, {"fields": fields_of(channel.value), "classes": ["tab"]}) for channel in CHANNELS]
        everything = (_("All channels"), {"fields": fields_of("all"), "classes": ["tab"]})
        return [(None, {"fields": own}), *tabs, everything]

    def save_model(self, request: HttpRequest, obj: PolicyOverride, form: Any, change: bool) -> None:
        policy_save(row=obj, now=clock.now())

    def get_form(
        self, request: HttpRequest, obj: PolicyOverride | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:  # type: ignore[type-arg]
        # The rules' fields are made by the form itself, from the rules in force; only the model's are the factory's.
        kwargs["fields"] = PolicyForm.Meta.fields
        return super().get_form(request, obj, change, **kwargs)  # type: ignore[no-any-return]

    def has_change_permission(self, request: HttpRequest, obj: PolicyOverride | None = None) -> bool:
        # What was in force once is not rewritten.
        ended = obj is not None and obj.withdrawn_at is not None
        return not ended and super().has_change_permission(request, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        now = clock.now()
        chosen = request.GET.get("policy", "")
        codes = [code for code in shipped() if code != "default"] + ["default"]
        context = {
            "policies": [(code, title(code), code == chosen) for code in codes],
            "policy_chosen": chosen if chosen in codes else "",
            "policy_title": title(chosen),
            "policy_table": table(chosen, now) if chosen in codes else [],
            "may_add": self.has_add_permission(request),
        }
        # Not a filter of the list below.
        rest = request.GET.copy()
        rest.pop("policy", None)
        request.GET = rest  # type: ignore[assignment]
        return super().changelist_view(request, (extra_context or {}) | context)  # type: ignore[no-any-return]

    @display(description=_("policy"), ordering="code")
    def policy(self, row: PolicyOverride) -> str:
        return title(row.code)

    @display(description=_("in force"))
    def in_force(self, row: PolicyOverride) -> Any:
        return state(row, clock.now())
