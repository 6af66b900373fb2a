"""Loads segments, templates and ladders that come with Sollecito; what is there already in the same words stays."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from simple_history.utils import bulk_create_with_history

from campaigns.ladder_yaml import LadderDoc
from campaigns.models import Ladder, LadderVersion, Segment, Template, TemplateText, TemplateVersion, VersionStatus
from campaigns.playbooks.shipped import playbooks_load
from campaigns.segments.shipped import segments_load
from campaigns.services.ladder_files import content, doc_of, draft_fill
from campaigns.services.versions import ladder_draft, ladder_publish, template_draft, template_publish
from campaigns.shipped_set import ShippedTemplate, shipped_ladders, shipped_templates
from customers.errors import SollecitoError

#: Ladders at work from the start. The others are published too, but begin when a manager switches them on: they
#: write to people who owe nothing yet, or need sums of one's own first.
IN_USE = frozenset({"card_failed", "card_failed_b2b", "invoice_overdue"})


@dataclass(frozen=True, slots=True)
class ShippedResult:
    """Codes of what was published anew; `unchanged` were there already, `kept` are staff's own."""

    segments: tuple[str, ...] = ()
    playbooks: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    ladders: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@transaction.atomic
def shipped_load(*, now: datetime, brand_id: int | None = None) -> ShippedResult:
    """Saves the shipped segments and playbooks, publishes templates and ladders at `now` (aware
    UTC); again changes nothing.

    With `brand_id` the ladders are for that brand only. What staff have published after us, or are drafting, is
    kept. Raises SollecitoError (TemplateRefused for a text) naming file and place; nothing is loaded then.
    """
    segments = segments_load()
    playbooks = playbooks_load()
    templates: list[str] = []
    ladders: list[str] = []
    unchanged: list[str] = []
    kept: list[str] = []
    for shipped in shipped_templates():
        row, _made = Template.objects.get_or_create(
            code=shipped.code, defaults={"name": shipped.name, "channel": shipped.channel, "tone": shipped.tone}
        )
        live = TemplateVersion.objects.filter(template=row, status=TemplateVersion.Status.PUBLISHED).first()
        if live is not None and _same_texts(live, shipped):
            unchanged.append(shipped.code)
        elif live is not None and live.published_by_id is not None or _drafting(row):
            kept.append(shipped.code)
        else:
            _publish_template(row, shipped, now)
            templates.append(shipped.code)
    shipped_docs = shipped_ladders()
    by_code = dict(Segment.objects.values_list("code", "id"))
    for doc in shipped_docs:
        if doc.segment and doc.segment not in by_code:
            raise SollecitoError(f"ladders/{doc.code}.yaml: there is no segment {doc.segment!r}.", code="bad_segment")
    rows = {
        # All of them before any is filled: a step may go on with another one.
        doc.code: Ladder.objects.get_or_create(
            code=doc.code,
            defaults={
                "name": doc.name,
                "description": doc.description,
                "trigger": doc.trigger,
                "priority": doc.priority,
                "active": doc.code in IN_USE,
                "brand_id": brand_id,
                "segment_id": by_code[doc.segment] if doc.segment else None,
            },
        )[0]
        for doc in shipped_docs
    }
    for doc in shipped_docs:
        ladder_row = rows[doc.code]
        version = LadderVersion.objects.filter(ladder=ladder_row, status=VersionStatus.PUBLISHED).first()
        if version is not None and content(doc_of(version)) == content(doc):
            unchanged.append(doc.code)
        elif version is not None and version.published_by_id is not None or _drafting_ladder(ladder_row):
            kept.append(doc.code)
        else:
            _publish_ladder(ladder_row, doc, now)
            ladders.append(doc.code)
    return ShippedResult(segments, playbooks, tuple(templates), tuple(ladders), tuple(unchanged), tuple(kept))


def _same_texts(version: TemplateVersion, shipped: ShippedTemplate) -> bool:
    there = {(text.channel, text.language): (text.subject, text.body, text.text) for text in version.texts.all()}
    return there == {
        (channel, language): (text.subject, text.body, "")
        for channel, texts in shipped.texts.items()
        for language, text in texts.items()
    }


def _drafting(template: Template) -> bool:
    return TemplateVersion.objects.filter(template=template, status=TemplateVersion.Status.DRAFT).exists()


def _drafting_ladder(ladder: Ladder) -> bool:
    return LadderVersion.objects.filter(ladder=ladder, status=VersionStatus.DRAFT).exists()


def _publish_template(row: Template, shipped: ShippedTemplate, now: datetime) -> None:
    draft = template_draft(template_id=row.pk)
    draft.texts.all().delete()
    bulk_create_with_history(
        [
            TemplateText(version=draft, language=language, channel=channel, subject=text.subject, body=text.body)
            for channel, texts in shipped.texts.items()
            for language, text in texts.items()
        ],
        TemplateText,
    )
    try:
        template_publish(version_id=draft.pk, actor_id=None, now=now)
    except SollecitoError as error:
        raise SollecitoError(f"templates/{shipped.code}: {error}", code=error.code) from error


def _publish_ladder(row: Ladder, shipped: LadderDoc, now: datetime) -> None:
    draft = ladder_draft(ladder_id=row.pk)
    draft_fill(version=draft, doc=shipped)
    try:
        ladder_publish(version_id=draft.pk, actor_id=None, now=now)
    except SollecitoError as error:
        raise SollecitoError(f"ladders/{shipped.code}.yaml: {error}", code=error.code) from error
