"""The form a person writes to a customer with: a template, its preview as the customer will get it, own words."""

import uuid
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from campaigns.admin.contact import verdict_words
from campaigns.models import Case, TemplateVersion
from campaigns.models.case import LIVE_STATES
from campaigns.services.writing import WRITTEN_BY, message_draft, message_write
from customers.admin.page import Asked, PageAction
from customers.display import when
from customers.errors import SollecitoError
from customers.models import Channel
from customers.models.customer import LANGUAGES

#: Who may put their own words in a template's place.
OWN_WORDS = "campaigns.change_message"


def _templates() -> list[tuple[int, str]]:
    rows = TemplateVersion.objects.filter(status=TemplateVersion.Status.PUBLISHED).select_related("template")
    return [(row.pk, row.template.name) for row in rows.order_by("template__name")]


class MessageForm(forms.Form):
    """Which template, by which channel, in which language; and what is said in its place."""

    key = forms.CharField(widget=forms.HiddenInput, max_length=60)
    version = forms.TypedChoiceField(label=_("Template"), coerce=int, widget=UnfoldAdminSelectWidget)
    channel = forms.ChoiceField(
        label=_("Channel"),
        choices=[(name, Channel(name).label) for name in WRITTEN_BY],
        widget=UnfoldAdminSelectWidget,
    )
    language = forms.ChoiceField(
        label=_("Language"), choices=[("", _("the customer's")), *LANGUAGES], required=False,
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    subject = forms.CharField(
        label=_("Subject in your own words"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget
    )
    text = forms.CharField(
        label=_("Text in your own words"),
        max_length=20_000,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text=_("Empty: the template's. [[pay_button]] puts the payment button where you write it."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].choices = _templates()  # type: ignore[attr-defined]


def _initial(case: Any, now: datetime) -> dict[str, Any]:
    return {"key": uuid.uuid4().hex, "channel": Channel.EMAIL.value, "language": ""}


def _asked_for_preview(request: HttpRequest) -> bool:
    return "preview" in request.POST


def _load(request: HttpRequest, case: Case, now: datetime) -> dict[str, Any]:
    """The preview of what is chosen, or of the first template there is."""
    given = request.POST or request.GET
    templates = _templates()
    version = given.get("version") or (str(templates[0][0]) if templates else "")
    channel = given.get("channel") or Channel.EMAIL.value
    if not version.isdecimal() or channel not in WRITTEN_BY:
        return {"wide": True}
    own = request.user.has_perm(OWN_WORDS)
    try:
        draft = message_draft(
            case_id=case.pk,
            version_id=int(version),
            channel=channel,
            language=given.get("language", ""),
            subject=given.get("subject", "").strip() if own else "",
            text=given.get("text", "").strip() if own else "",
            now=now,
        )
    except SollecitoError as error:
        return {"wide": True, "why_not": error.message, "own": own}
    return {
        "wide": True,
        "own": own,
        "draft": draft,
        "why_not": draft.why_not,
        "verdict": verdict_words(draft.verdict) if draft.verdict else "",
        "leaves": when(draft.verdict.until) if draft.verdict and draft.verdict.until else "",
    }


def _run(asked: Asked) -> str:
    data = asked.data
    if (data["subject"] or data["text"]) and not asked.request.user.has_perm(OWN_WORDS):
        raise SollecitoError(_now("Your role sends templates as they are."), code="not_allowed")
    message = message_write(
        case_id=asked.obj.pk,
        version_id=data["version"],
        channel=data["channel"],
        language=data["language"],
        subject=data["subject"],
        text=data["text"],
        key=data["key"],
        actor_id=asked.actor_id,
        now=asked.now,
    )
    if message.send_at is not None and message.send_at > asked.now:
        return _now("The message waits; the contact rules let it leave %(when)s.") % {"when": when(message.send_at)}
    return _now("The message is on its way.")


MESSAGE_ACTION = PageAction(
    slug="write",
    label=_("Write a message"),
    icon="mail",
    permission="campaigns.add_message",
    form=MessageForm,
    initial=_initial,
    fits=lambda case: case.state in LIVE_STATES,
    load=_load,
    run=_run,
    template="admin/campaigns/write.html",
    keeps_form=True,
    asks_again=_asked_for_preview,
    order=8,
)
