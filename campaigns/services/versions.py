"""Drafts and publishing of ladders and templates: a published version never changes, a new one takes its place."""

from datetime import datetime
from functools import lru_cache

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from campaigns.engine.conditions import check_condition
from campaigns.engine.ladder import check_steps
from campaigns.engine.specs import step_spec
from campaigns.models import (
    Action,
    LadderVersion,
    Step,
    TemplateText,
    TemplateVersion,
    VersionStatus,
)
from campaigns.models.ladder import VERSION_TRANSITIONS
from campaigns.rendering.lint import check_template
from campaigns.rendering.problems import TemplateRefused
from campaigns.rendering.render import CompiledTemplate, compile_template
from customers.errors import SollecitoError, check_transition

#: What a version holds besides its steps; copied into drafts, compared and exported.
VERSION_FIELDS = (
    "end_actions", "end_params", "end_after_hours", "min_gap_hours", "silent_hours", "pause_after_reply_days",
)  # fmt: skip


@transaction.atomic
def ladder_draft(*, ladder_id: int) -> LadderVersion:
    """The ladder's draft; made as a copy of its published version (or empty) if there is none."""
    versions = LadderVersion.objects.select_for_update().filter(ladder_id=ladder_id)
    draft = versions.filter(status=VersionStatus.DRAFT).first()
    if draft is not None:
        return draft
    live = versions.filter(status=VersionStatus.PUBLISHED).first()
    number = (LadderVersion.objects.filter(ladder_id=ladder_id).aggregate(n=Max("number"))["n"] or 0) + 1
    draft = LadderVersion.objects.create(
        ladder_id=ladder_id,
        number=number,
        **({name: getattr(live, name) for name in VERSION_FIELDS} if live else {}),
    )
    steps = list(live.steps.order_by("position")) if live else []
    for step in steps:
        step.pk = None
        step._state.adding = True
        step.version = draft
    Step.objects.bulk_create(steps)
    return draft


@transaction.atomic
def ladder_publish(*, version_id: int, actor_id: int | None, now: datetime) -> None:
    """Publishes a draft at `now` (aware UTC) and retires the version before it; cases keep the one they have.

    Raises SollecitoError for a ladder without steps, steps out of order or with a window that never opens, a
    condition the engine does not know, or a message whose template is not published: found here, not on the night
    it would be sent.
    """
    version = LadderVersion.objects.select_for_update().filter(pk=version_id).first()
    if version is None:
        raise SollecitoError(_("There is no such version."), code="version_missing")
    if version.status != VersionStatus.DRAFT:
        raise SollecitoError(_("Only a draft can be published."), code="version_not_draft")
    check_transition(VERSION_TRANSITIONS, what="Ladder version", source=version.status, target="published")
    steps = list(version.steps.select_related("template").order_by("position"))
    if not steps:
        raise SollecitoError(_("A ladder needs at least one step."), code="ladder_empty")
    check_steps([step_spec(step) for step in steps], trigger=version.ladder.trigger)
    spoken = set(
        TemplateVersion.objects.filter(status=TemplateVersion.Status.PUBLISHED).values_list("template_id", flat=True)
    )
    for step in steps:
        check_condition(step.condition)
        if step.action == Action.MESSAGE and step.template_id not in spoken:
            raise SollecitoError(
                _("Step “%(step)s” sends “%(template)s”, which has no published text.")
                % {"step": step, "template": step.template},
                code="template_unpublished",
            )
    for place, step in enumerate(steps, start=1):
        if step.position != place:
            Step.objects.filter(pk=step.pk).update(position=place)
    LadderVersion.objects.filter(ladder_id=version.ladder_id, status=VersionStatus.PUBLISHED).update(
        status=VersionStatus.RETIRED
    )
    LadderVersion.objects.filter(pk=version.pk).update(
        status=VersionStatus.PUBLISHED, published_at=now, published_by=actor_id
    )


@transaction.atomic
def template_draft(*, template_id: int) -> TemplateVersion:
    """The template's draft; made as a copy of its published version (or empty) if there is none."""
    versions = TemplateVersion.objects.select_for_update().filter(template_id=template_id)
    draft = versions.filter(status=TemplateVersion.Status.DRAFT).first()
    if draft is not None:
        return draft
    live = versions.filter(status=TemplateVersion.Status.PUBLISHED).first()
    number = (TemplateVersion.objects.filter(template_id=template_id).aggregate(n=Max("number"))["n"] or 0) + 1
    draft = TemplateVersion.objects.create(template_id=template_id, number=number)
    for text in live.texts.all() if live else ():
        TemplateText.objects.create(
            version=draft,
            language=text.language,
            channel=text.channel,
            subject=text.subject,
            body=text.body,
            text=text.text,
        )
    return draft


@transaction.atomic
def template_publish(*, version_id: int, actor_id: int | None, now: datetime) -> None:
    """Compiles every language of a draft and publishes it at `now` (aware UTC) in the place of the one before.

    Raises TemplateRefused with each error's line if a text would not render, SollecitoError if there is none.
    """
    version = TemplateVersion.objects.select_for_update().filter(pk=version_id).first()
    if version is None:
        raise SollecitoError(_("There is no such version."), code="version_missing")
    if version.status != TemplateVersion.Status.DRAFT:
        raise SollecitoError(_("Only a draft can be published."), code="version_not_draft")
    texts = list(version.texts.order_by("language"))
    if not texts:
        raise SollecitoError(_("A template needs a text in at least one language."), code="template_empty")
    for text in texts:
        compiled = _ready(text.subject, text.body, text.text, text.language, text.channel)
        TemplateText.objects.filter(pk=text.pk).update(
            subject=compiled.subject, compiled_html=compiled.html, compiled_text=compiled.text
        )
    TemplateVersion.objects.filter(template_id=version.template_id, status=TemplateVersion.Status.PUBLISHED).update(
        status=TemplateVersion.Status.RETIRED
    )
    TemplateVersion.objects.filter(pk=version.pk).update(
        status=TemplateVersion.Status.PUBLISHED, published_at=now, published_by=actor_id
    )


@lru_cache(maxsize=1024)
def _ready(subject: str, body: str, text: str, language: str, channel: str) -> CompiledTemplate:
    """The compiled text; raises TemplateRefused with each error. Kept: the shipped set is loaded again and again."""
    plain = text or None
    problems = check_template(subject=subject, mjml=body, text=plain, language=language, channel=channel)
    if errors := [p for p in problems if p.severity == "error"]:
        raise TemplateRefused(errors)
    return compile_template(subject=subject, mjml=body, text=plain, language=language, channel=channel)
