"""Faces of bulk acts on cases, customers, promises and invoices: questions, forms, and where they are offered."""

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

import billing.bulk  # noqa: F401  (the admin is loaded before the apps are ready)
import campaigns.bulk  # noqa: F401
from billing.admin.arrangements import PromiseAdmin
from billing.admin.invoices import InvoiceAdmin
from billing.models import Invoice, InvoiceStatus
from campaigns.admin.case_actions import OwnerForm, PauseForm, ReasonForm
from campaigns.admin.cases import CaseAdmin
from campaigns.admin.promise_form import TakeBackForm
from campaigns.admin.segments import SegmentAdmin, members
from campaigns.models import Case, Segment, Template, TemplateVersion
from campaigns.models.case import LIVE_STATES
from campaigns.segments.language import SegmentError
from customers.admin.bulk import BulkAction, bulk_page_action, face
from customers.admin.customer import CustomerAdmin
from customers.bulk.jobs import MOST
from customers.bulk.people import LONGEST_TAG
from customers.models import Channel
from customers.visibility import among


class TagForm(forms.Form):
    """One word to find them by."""

    tag = forms.CharField(label=_("Tag"), max_length=LONGEST_TAG, widget=UnfoldAdminTextInputWidget)


class WriteForm(forms.Form):
    """Which template, over which channel."""

    template = forms.ModelChoiceField(
        label=_("Template"),
        queryset=Template.objects.filter(versions__status=TemplateVersion.Status.PUBLISHED).order_by("name"),
        widget=UnfoldAdminSelectWidget,
    )
    channel = forms.ChoiceField(
        label=_("Channel"),
        choices=[(code, title) for code, title in Channel.choices if code not in (Channel.CALL, Channel.WEBHOOK)],
        widget=UnfoldAdminSelectWidget,
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        template, channel = data.get("template"), data.get("channel")
        published = TemplateVersion.Status.PUBLISHED
        if template and channel and not template.versions.filter(status=published, texts__channel=channel).exists():
            raise forms.ValidationError(_now("This template has no text for this channel."))
        return data


PAUSE = face(
    BulkAction(
        slug="cases.pause",
        icon="pause",
        question=_(
            "Nothing is sent while a case rests; what is in the outbox is stopped too. Only open cases are paused."
        ),
        form=PauseForm,
        params=lambda data: {
            "until": data["until"] and data["until"].isoformat(),
            "reason": data["reason"],
        },
    )
)
RESUME = face(
    BulkAction(
        slug="cases.resume",
        icon="play_arrow",
        question=_(
            "Paused cases go on with the step they stood before. Those at rest for another reason are left alone."
        ),
    )
)
ASSIGN = face(
    BulkAction(
        slug="cases.assign",
        icon="person_add",
        question=_("Live cases get this owner; empty: nobody. Those who have it already are left alone."),
        form=OwnerForm,
        params=lambda data: {"owner": data["owner"] and data["owner"].pk},
        told=lambda params: "",
    )
)
WRITE = face(
    BulkAction(
        slug="cases.write",
        icon="mail",
        question=_(
            "Each customer is written to in their language, if the contact rules allow it; what must wait for a "
            "better hour waits in the outbox. The rules are asked again as each message leaves."
        ),
        form=WriteForm,
        params=lambda data: {"template": data["template"].pk, "channel": data["channel"]},
    )
)
TAG = face(BulkAction(slug="customers.tag", icon="label", form=TagForm, told=lambda params: params.get("tag", "")))
UNTAG = face(
    BulkAction(slug="customers.untag", icon="label_off", form=TagForm, told=lambda params: params.get("tag", ""))
)
NO_DUNNING = face(
    BulkAction(
        slug="customers.no_dunning",
        icon="block",
        question=_(
            "Nobody writes to them for money or charges them by itself, until the exclusion is lifted on their page."
        ),
        form=ReasonForm,
        danger=True,
    )
)
DO_NOT_CONTACT = face(
    BulkAction(
        slug="customers.do_not_contact",
        icon="voice_over_off",
        question=_("Nothing is sent to them over any channel, until it is lifted on their page."),
        form=ReasonForm,
        danger=True,
    )
)
PROMISES_BACK = face(
    BulkAction(
        slug="promises.cancel",
        icon="undo",
        question=_(
            "For those noted by mistake: their cases go on as if they had not been made, and none counts as broken. "
            "Kept, broken and ended ones are left alone."
        ),
        form=TakeBackForm,
    )
)
RETRY = face(
    BulkAction(
        slug="invoices.retry_now",
        icon="bolt",
        question=_(
            "The charges that are planned for later are made as soon as the networks' waits and limits allow. "
            "Invoices we do not charge, or have given up charging, are left alone."
        ),
    )
)
WRITE_OFF = face(
    BulkAction(
        slug="invoices.write_off",
        icon="money_off",
        question=_("What is left of open invoices is given up in the books, and they are marked uncollectible."),
        form=ReasonForm,
        danger=True,
    )
)


def _customers(request: HttpRequest, segment: Segment, now: datetime) -> list[int]:
    try:
        return sorted(members(request, segment))[: MOST + 1]
    except SegmentError:
        return []


def _cases(request: HttpRequest, segment: Segment, now: datetime) -> list[int]:
    live: Any = Case.objects.filter(among(_customers(request, segment, now), path="customer"), state__in=LIVE_STATES)
    return list(live.order_by("pk").values_list("pk", flat=True)[: MOST + 1])


def _invoices(request: HttpRequest, segment: Segment, now: datetime) -> list[int]:
    owed: Any = Invoice.objects.filter(
        among(_customers(request, segment, now), path="customer"), status=InvoiceStatus.OPEN
    )
    return list(owed.order_by("pk").values_list("pk", flat=True)[: MOST + 1])


CASE_BULK = (ASSIGN, PAUSE, RESUME, WRITE)
CaseAdmin.bulk_actions = CASE_BULK
CustomerAdmin.bulk_actions = (TAG, UNTAG, NO_DUNNING, DO_NOT_CONTACT)
InvoiceAdmin.bulk_actions = (RETRY, WRITE_OFF)
PromiseAdmin.bulk_actions = (PROMISES_BACK,)
for place, (action, ids) in enumerate(
    (
        (ASSIGN, _cases), (PAUSE, _cases), (RESUME, _cases), (WRITE, _cases), (TAG, _customers), (RETRY, _invoices),
        (DO_NOT_CONTACT, _customers), (NO_DUNNING, _customers),
    ),
    start=1,
):  # fmt: skip
    SegmentAdmin.add_action(bulk_page_action(action, ids, 10 * place))
