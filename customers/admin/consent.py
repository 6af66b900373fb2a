"""The consent register in the admin: what holds for a customer's addresses, since when, and on what evidence."""

import csv
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from customers.addresses import normalise
from customers.admin.base import ReadOnlyAdmin, choice_badge
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, PageAction, PageAdmin
from customers.consent import Evidence, Source, opt_in_record, opt_out_record, states
from customers.log import Entry, record
from customers.models import ActorKind, Channel, ConsentEvent, Customer, Suppression

VARIANTS = {"granted": "success", "withdrawn": "danger"}
REASONS = {"hard_bounce": "danger", "complaint": "danger", "opt_out": "warning"}
#: Channels that need an address, each with the kind of it.
_BY_PHONE = (Channel.SMS, Channel.WHATSAPP, Channel.CALL)
_COLUMNS = (
    "at", "recorded_at", "channel", "address", "decision", "source", "keyword", "evidence", "message_ref", "ip",
    "wording_version", "language", "actor_kind", "actor",
)  # fmt: skip


def addresses_of(customer: Customer) -> list[tuple[str, str]]:
    """Every (channel, normalised address) of a customer and their contacts, each once."""
    people = list(customer.contacts.filter(active=True))
    mails = [customer.email, *(person.email for person in people)]
    phones = [customer.phone, *(person.phone for person in people)]
    pairs = [(Channel.EMAIL, address) for address in mails if address]
    pairs += [(channel, phone) for phone in phones if phone for channel in _BY_PHONE]
    return list(dict.fromkeys((str(c), normalise(c, address, customer.country)) for c, address in pairs))


def register(customer: Customer) -> Any:
    """The entries about a customer or an address of theirs, newest first."""
    addresses = {address for _channel, address in addresses_of(customer)}
    found = ConsentEvent.objects.filter(Q(customer=customer) | Q(address__in=addresses))
    return found.select_related("actor").order_by("-at", "-id")


def consent(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    """Context of the consent section."""
    pairs = addresses_of(customer)
    held = states(pairs)
    suppressed = {
        (row.channel, row.address): row
        for row in Suppression.objects.filter(lifted_at=None, address__in={address for _c, address in pairs})
    }
    rows = []
    for pair in pairs:
        state, stop = held.get(pair), suppressed.get(pair)
        rows.append(
            {
                "channel": Channel(pair[0]).label,
                "address": pair[1],
                "event": state.event if state else None,
                "decision": choice_badge(state.event, "decision", VARIANTS) if state else "",
                "suppression": stop,
                "reason": choice_badge(stop, "reason", REASONS) if stop else "",
            }
        )
    events = [(row, choice_badge(row, "decision", VARIANTS)) for row in register(customer)[:200]]
    return {"consent_rows": rows, "consent_events": events}


class ConsentForm(forms.Form):
    """What a customer told a member of staff."""

    decision = forms.ChoiceField(
        label=_("What they said"),
        choices=[("", "–"), *ConsentEvent.Decision.choices],
        widget=UnfoldAdminSelectWidget,
    )
    channel = forms.ChoiceField(
        label=_("Channel"),
        choices=[(c.value, c.label) for c in (Channel.EMAIL, *_BY_PHONE, Channel.LETTER)],
        widget=UnfoldAdminSelectWidget,
    )
    address = forms.CharField(
        label=_("Address or number"),
        max_length=320,
        required=False,
        help_text=_("Empty: all of the customer's for that channel."),
        widget=UnfoldAdminTextInputWidget,
    )
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=5000,
        help_text=_("Their words, when and how they said them: it must stand up to a question years later."),
        widget=UnfoldAdminTextareaWidget,
    )


def note_consent(asked: Asked) -> str:
    """Carries out a ConsentForm for a customer; returns the sentence to show."""
    channel, given = asked.data["channel"], asked.data["address"]
    addresses = [given] if given else [address for name, address in addresses_of(asked.obj) if name == channel]
    write = opt_in_record if asked.data["decision"] == ConsentEvent.Decision.GRANTED else opt_out_record
    evidence = Evidence(source=Source.STAFF, text=asked.data["evidence"], actor_id=asked.actor_id)
    with transaction.atomic():
        for address in addresses:
            write(
                channel=channel,
                address=address,
                country=asked.obj.country,
                customer_id=asked.obj.pk,
                evidence=evidence,
                now=asked.now,
            )
    if not addresses:
        return _now("The customer has no address for that channel; nothing was noted.")
    return _now("Noted for %(addresses)s.") % {"addresses": ", ".join(addresses)}


def export_consent(asked: Asked) -> HttpResponse:
    """The customer's entries as a file; that it was taken is a line in the log."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="consent-{asked.obj.pk}.csv"'
    writer = csv.writer(response)
    writer.writerow(_COLUMNS)
    rows = list(register(asked.obj))
    for row in rows:
        values = (getattr(row, name) for name in _COLUMNS)
        writer.writerow([value.isoformat() if isinstance(value, datetime) else _harmless(value) for value in values])
    record(
        Entry(
            customer_id=asked.obj.pk,
            at=asked.now,
            kind="consent.exported",
            summary=_now("The consent register was exported: %(count)s entries.") % {"count": len(rows)},
            actor_kind=ActorKind.USER,
            actor_id=asked.actor_id,
        )
    )
    return response


def _harmless(value: Any) -> str:
    """Text that no spreadsheet takes for a formula: replies are written by strangers."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


ACTIONS = [
    PageAction(
        slug="consent",
        label=_("Note consent or refusal"),
        icon="how_to_reg",
        permission="customers.add_consentevent",
        question=_("A refusal holds at once, for what is about to be sent too. An entry is never changed."),
        form=ConsentForm,
        run=note_consent,
        order=60,
    ),
    PageAction(
        slug="consent-export",
        label=_("Export consent register"),
        icon="download",
        permission="customers.add_consentevent",
        question=_("All entries about this customer and their addresses, as a CSV file. The export is logged."),
        run=export_consent,
        order=65,
    ),
]


@admin.register(ConsentEvent)
class ConsentEventAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("Consents and refusals appear here, each with its evidence.")
    counted_as = _("entries")
    list_display = ("at", "address", "channel", "shown_decision", "source", "keyword", "customer", "actor")
    list_select_related = ("customer", "actor")
    list_filter = (
        ("decision", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("source", ChoicesDropdownFilter),
        ("at", MomentRangeFilter),
    )
    search_prefix = ("address",)
    search_help_text = _("Beginning of the address or number")
    ordering = ("-id",)
    fields = (
        ("channel", "address"), ("decision", "source"), ("at", "recorded_at"), ("customer", "contact"), "evidence",
        ("keyword", "language"), ("message_ref", "wording_version"), ("ip", "actor"),
    )  # fmt: skip

    @display(description=_("decision"), ordering="decision")
    def shown_decision(self, row: ConsentEvent) -> str:
        return choice_badge(row, "decision", VARIANTS)
