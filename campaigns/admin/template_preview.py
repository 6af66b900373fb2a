"""What the pages of a template version show and do beside its form: preview, changes, test mail, bringing back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from campaigns.admin.template_variants import variants_shown
from campaigns.models import Case, TemplateText, TemplateVersion
from campaigns.models.case import LIVE_STATES
from campaigns.preview import send_test, text_preview
from campaigns.rendering.examples import example_context
from campaigns.rendering.lint import check_template
from campaigns.rendering.problems import TemplateRefused
from campaigns.rendering.render import Rendered, compile_template, render
from campaigns.rendering.variables import declared_variables
from campaigns.services.template_history import missing_languages, template_restore, texts_diff, texts_of
from customers.admin.page import DETAILS, Asked, PageAction
from customers.errors import SollecitoError
from customers.models.customer import LANGUAGES
from customers.visibility import seen

#: Cases offered to be shown: the newest open ones.
OFFERED = 20
LOOKS = (("desktop", _("Desktop")), ("phone", _("Phone")))
THEMES = (("light", _("Light")), ("dark", _("Dark")))
PARTS = (("html", _("As a mail")), ("text", _("Plain text")))


def _picked(request: HttpRequest, name: str, options: Any) -> str:
    """The value asked for, if it is one of the options; else the first."""
    values = [str(value) for value, _words in options]
    asked = request.GET.get(name, "")
    return asked if asked in values else values[0]


def preview(request: HttpRequest, version: TemplateVersion, now: datetime) -> dict[str, Any]:
    """One text of the version as its reader gets it, with example data or the facts of a real case."""
    texts = {f"{text.channel}-{text.language}": text for text in version.texts.order_by("channel", "language")}
    if not texts:
        return {"choices": []}
    # Who may not look at cases sees the examples.
    may = request.user.has_perm("campaigns.view_case")
    own = seen(Case.objects.select_related("customer"), request.user)
    newest = own.filter(state__in=LIVE_STATES).order_by("-id")
    offered = list(newest[:OFFERED]) if may else []
    asked = request.GET.get("case", "")
    if may and asked.isdecimal() and int(asked) not in {row.pk for row in offered}:
        # A link may lead here from any case, however old.
        offered += own.filter(pk=int(asked))
    cases = [("", _("Example data")), *((str(row.pk), f"{row.customer} {row}") for row in offered)]
    text_options = [(key, _spoken(text)) for key, text in texts.items()]
    names = (
        ("text", _("Text"), text_options),
        ("case", _("Filled in with"), cases),
        ("look", _("Width"), LOOKS),
        # Not `theme`: unfold takes that for its own.
        ("colours", _("Colours"), THEMES),
        ("part", _("Part"), PARTS),
    )
    picked = {name: _picked(request, name, options) for name, _label, options in names}
    text = texts[picked["text"]]
    case_id = int(picked["case"]) if picked["case"] else None
    shown, problems = _shown(version, text, case_id, picked["colours"], now)
    warnings = [] if problems else _warnings(text)
    return {
        "choices": [
            {"name": name, "label": label, "options": options, "value": picked[name]} for name, label, options in names
        ],
        "shown": shown,
        "problems": problems,
        "warnings": warnings,
        "shown_title": _spoken(text),
        "look": picked["look"],
        "colours": picked["colours"],
        "part": picked["part"],
        "missing": missing_words(version),
        "variants": variants_shown(version, text.channel, case_id, now),
    }


def editor_names() -> dict[str, Any]:
    """What the editor offers: variables with an example, and ways to look at the text."""
    return {
        "title": _now("Variables"),
        "variables": [
            {
                "name": variable.name,
                "insert": f"{{{{ {variable.name} }}}}",
                "description": variable.description,
                "example": variable.example,
            }
            # Fields of list items are reached within a loop, not by this name.
            for variable in declared_variables()
            if "[]" not in variable.name and variable.kind != "list"
        ],
        "choices": [
            {"name": name, "label": str(label), "options": [[value, str(words)] for value, words in options]}
            for name, label, options in (
                ("look", _("Width"), LOOKS),
                ("colours", _("Colours"), THEMES),
                ("part", _("Part"), PARTS),
            )
        ],
    }


def written(sent: Mapping[str, str]) -> dict[str, Any]:
    """Context of shown.html for a text that is being written, filled in with example data."""
    language, channel = sent.get("language") or "en", sent.get("channel") or "email"
    context = {
        name: sent.get(name) if sent.get(name) in dict(options) else options[0][0]
        for name, options in (("look", LOOKS), ("colours", THEMES), ("part", PARTS))
    }
    body, subject, text = sent.get("body", ""), sent.get("subject", ""), sent.get("text") or None
    if not body.strip():
        return context
    # The whole check, not the rendering alone: it names line and suggestion, and stops what would run away.
    problems = check_template(subject=subject, mjml=body, text=text, language=language, channel=channel)
    if wrong := [problem for problem in problems if problem.severity == "error"]:
        return context | {"problems": wrong}
    try:
        compiled = compile_template(subject=subject, mjml=body, text=text, language=language, channel=channel)
        shown = render(compiled, example_context(language), channel=channel)
        return context | {"shown": in_colours(shown, str(context["colours"]))}
    except TemplateRefused as error:
        return context | {"problems": error.problems}


def missing_words(version: TemplateVersion) -> list[str]:
    """Languages a draft lacks, in words; none for a version that is published."""
    if version.status != TemplateVersion.Status.DRAFT:
        return []
    names = dict(LANGUAGES)
    return [f"{names.get(language, language)} ({channel})" for channel, language in missing_languages(version)]


def _spoken(text: TemplateText) -> str:
    return f"{text.get_language_display()}, {text.get_channel_display()}"


def _shown(
    version: TemplateVersion, text: TemplateText, case_id: int | None, colours: str, now: datetime
) -> tuple[Any, Any]:
    try:
        shown = text_preview(
            version_id=version.pk,
            language=text.language,
            channel=text.channel,
            subject=text.subject,
            body=text.body,
            text=text.text,
            case_id=case_id,
            now=now,
        )
    except TemplateRefused as error:
        return None, error.problems
    except SollecitoError as error:
        return None, [error.message]
    return in_colours(shown, colours), ()


def in_colours(shown: Rendered, colours: str) -> Rendered:
    """The mail as a reader with these colours gets it, whatever those of this browser are."""
    wanted = "all" if colours == "dark" else "not all"
    return replace(shown, html=shown.html.replace("(prefers-color-scheme: dark)", wanted))


def _warnings(text: TemplateText) -> list[str]:
    found = check_template(
        subject=text.subject,
        mjml=text.body,
        text=text.text or None,
        language=text.language,
        channel=text.channel,
    )
    return [str(problem) for problem in found if problem.severity == "warning"]


def changes(request: HttpRequest, version: TemplateVersion, now: datetime) -> dict[str, Any]:
    """What the version changed against the one before it."""
    earlier = TemplateVersion.objects.filter(template_id=version.template_id, number__lt=version.number)
    against = earlier.order_by("-number").first()
    return {"against": against, "diffs": texts_diff(texts_of(against), texts_of(version)) if against else []}


class SendTestForm(forms.Form):
    """To whom a test goes, in which language, filled in with what."""

    recipient = forms.EmailField(label=_("To"), widget=UnfoldAdminEmailInputWidget)
    language = forms.ChoiceField(label=_("Language"), choices=LANGUAGES, widget=UnfoldAdminSelectWidget)
    case = forms.IntegerField(
        label=_("Number of a case"),
        required=False,
        min_value=1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("Empty: example data."),
    )


def _send(asked: Asked) -> str:
    case_id = asked.data["case"]
    if case_id is not None and not asked.request.user.has_perm("campaigns.view_case"):
        raise SollecitoError(_now("You may not look at cases."), code="not_allowed")
    send_test(
        version_id=asked.obj.pk,
        language=asked.data["language"],
        recipient=asked.data["recipient"],
        case_id=case_id,
        now=asked.now,
    )
    return _now("A test was sent to %(recipient)s.") % {"recipient": asked.data["recipient"]}


def _restore(asked: Asked) -> HttpResponseRedirect:
    draft = template_restore(version_id=asked.obj.pk)
    url = reverse("admin:campaigns_templateversion_change", args=[draft.pk])
    return HttpResponseRedirect(f"{url}?section={DETAILS}")


ACTIONS = [
    PageAction(
        slug="test",
        label=_("Send a test"),
        icon="forward_to_inbox",
        permission="campaigns.change_templateversion",
        question=_("Goes to this address only, marked as a test. No customer is written to."),
        form=SendTestForm,
        run=_send,
        order=50,
    ),
    PageAction(
        slug="restore",
        label=_("Bring back as a draft"),
        icon="history",
        permission="campaigns.change_templateversion",
        question=_("Makes a draft with the texts of this version. Nothing changes until it is published."),
        fits=lambda version: version.status == TemplateVersion.Status.RETIRED,
        run=_restore,
        order=60,
    ),
]
