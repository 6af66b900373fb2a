"""Drafts and publishing of ladders and templates: a published version never changes, a new one takes its place."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from campaigns.models import (
    Ladder,
    LadderVersion,
    Step,
    TemplateText,
    TemplateVersion,
    Trigger,
    VersionStatus,
)
from campaigns.models.ladder import VERSION_TRANSITIONS
from campaigns.rendering.lint import check_template
from campaigns.rendering.problems import TemplateRefused
from campaigns.rendering.render import CompiledTemplate, compile_template
from campaigns.services.ladder_checks import ladder_check
from customers.errors import SollecitoError, check_transition
from customers.wake import wake

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
def ladder_publish(*, version_id: int, actor_id: int | None, now: datetime, note: str = "") -> None:
    """Publishes a draft at `now` (aware UTC) and retires the version before it; cases keep the one they have.

    Raises SollecitoError naming the place for anything `ladder_check` refuses: found here, not on the night it would
    be sent. `note` says what changed. One about days that are coming has those concerned looked at at once.
    """
    version = LadderVersion.objects.select_for_update().filter(pk=version_id).first()
    if version is None:
        raise SollecitoError(_("There is no such version."), code="version_missing")
    if version.status != VersionStatus.DRAFT:
        raise SollecitoError(_("Only a draft can be published."), code="version_not_draft")
    check_transition(VERSION_TRANSITIONS, what="Ladder version", source=version.status, target="published")
    ladder_check(version)
    steps = list(version.steps.order_by("position"))
    for place, step in enumerate(steps, start=1):
        if step.position != place:
            Step.objects.filter(pk=step.pk).update(position=place)
    LadderVersion.objects.filter(ladder_id=version.ladder_id, status=VersionStatus.PUBLISHED).update(
        status=VersionStatus.RETIRED
    )
    LadderVersion.objects.filter(pk=version.pk).update(
        status=VersionStatus.PUBLISHED, published_at=now, published_by=actor_id, note=note or version.note
    )
    customers_announce(version.ladder, now)


# Nothing else would look at them: what is coming is no news of today.
_CONCERNED = {
    Trigger.INVOICE_DUE.value: """
        SELECT customer_id FROM billing_invoice
         WHERE status = 'open' AND collection_method = 'manual' AND due_at > %(now)s""",
    Trigger.CARD_EXPIRING.value: """
        SELECT m.customer_id FROM billing_paymentmethod m
         WHERE m.type = 'card' AND m.detached_at IS NULL AND m.exp_year IS NOT NULL
           AND EXISTS (SELECT 1 FROM billing_subscription s WHERE s.customer_id = m.customer_id
                          AND s.status IN ('active', 'trialing', 'past_due'))""",
    Trigger.RENEWAL_UPCOMING.value: """
        SELECT customer_id FROM billing_subscription
         WHERE status IN ('active', 'trialing') AND current_period_end > %(now)s""",
}


def customers_announce(ladder: Ladder, now: datetime) -> int:
    """Has the customers a ladder of PRE_DUNNING is about assessed at `now` (aware UTC); returns how many. In the
    caller's transaction."""
    concerned = _CONCERNED.get(ladder.trigger)
    if concerned is None or not ladder.active:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE customers_customer SET reassess_at = LEAST(COALESCE(reassess_at, %(now)s), %(now)s)
             WHERE id IN ({concerned}) AND (reassess_at IS NULL OR reassess_at > %(now)s)
               AND (%(brand)s::bigint IS NULL OR brand_id = %(brand)s)""",  # noqa: S608
            {"now": now, "brand": ladder.brand_id},
        )
        found = int(cursor.rowcount)
    if found:
        wake("campaigns.tasks.assess_customers")
    return found


@transaction.atomic
def template_draft(*, template_id: int) -> TemplateVersion:
    """The template's draft; made as a copy of its published version (or empty) if there is none."""
    versions = TemplateVersion.objects.select_for_update().filter(template_id=template_id)
    draft = versions.filter(status=TemplateVersion.Status.DRAFT).first()
    if draft is not None:
        return draft
    live = versions.filter(status=TemplateVersion.Status.PUBLISHED).first()
    return draft_of_texts(template_id=template_id, texts=live.texts.all() if live else ())


def draft_of_texts(*, template_id: int, texts: Iterable[TemplateText]) -> TemplateVersion:
    """A new draft holding copies of `texts`, in the caller's transaction and under its lock on the template's
    versions."""
    number = (TemplateVersion.objects.filter(template_id=template_id).aggregate(n=Max("number"))["n"] or 0) + 1
    draft = TemplateVersion.objects.create(template_id=template_id, number=number)
    for text in texts:
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
