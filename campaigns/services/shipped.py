"""Loads the templates and ladders that come with Sollecito; what is there already in the same words stays."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from campaigns.models import Ladder, LadderVersion, Step, Template, TemplateText, TemplateVersion, VersionStatus
from campaigns.services.versions import ladder_draft, ladder_publish, template_draft, template_publish
from campaigns.shipped_set import ShippedLadder, ShippedTemplate, shipped_ladders, shipped_templates
from customers.errors import SollecitoError


@dataclass(frozen=True, slots=True)
class ShippedResult:
    """Codes of what was published anew; `unchanged` were there already, `kept` are staff's own."""

    templates: tuple[str, ...] = ()
    ladders: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@transaction.atomic
def shipped_load(*, now: datetime, brand_id: int | None = None) -> ShippedResult:
    """Publishes the shipped templates and ladders at `now` (aware UTC); a second call changes nothing.

    With `brand_id` the ladders are for that brand only. What staff have published after us, or are drafting, is
    kept. Raises SollecitoError (TemplateRefused for a text) naming file and place; nothing is loaded then.
    """
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
    known = dict(Template.objects.values_list("code", "id"))
    for ladder in shipped_ladders():
        ladder_row, _made = Ladder.objects.get_or_create(
            code=ladder.code,
            defaults={
                "name": ladder.name,
                "description": ladder.description,
                "trigger": ladder.trigger,
                "brand_id": brand_id,
            },
        )
        version = LadderVersion.objects.filter(ladder=ladder_row, status=VersionStatus.PUBLISHED).first()
        if version is not None and _spelled(version) == _wanted(ladder, known):
            unchanged.append(ladder.code)
        elif version is not None and version.published_by_id is not None or _drafting_ladder(ladder_row):
            kept.append(ladder.code)
        else:
            _publish_ladder(ladder_row, ladder, known, now)
            ladders.append(ladder.code)
    return ShippedResult(tuple(templates), tuple(ladders), tuple(unchanged), tuple(kept))


def _same_texts(version: TemplateVersion, shipped: ShippedTemplate) -> bool:
    there = {text.language: (text.subject, text.body, text.text) for text in version.texts.all()}
    return there == {language: (text.subject, text.mjml, text.text or "") for language, text in shipped.texts.items()}


def _drafting(template: Template) -> bool:
    return TemplateVersion.objects.filter(template=template, status=TemplateVersion.Status.DRAFT).exists()


def _drafting_ladder(ladder: Ladder) -> bool:
    return LadderVersion.objects.filter(ladder=ladder, status=VersionStatus.DRAFT).exists()


def _publish_template(row: Template, shipped: ShippedTemplate, now: datetime) -> None:
    draft = template_draft(template_id=row.pk)
    draft.texts.all().delete()
    for language, text in shipped.texts.items():
        TemplateText.objects.create(
            version=draft, language=language, subject=text.subject, body=text.mjml, text=text.text or ""
        )
    try:
        template_publish(version_id=draft.pk, actor_id=None, now=now)
    except SollecitoError as error:
        raise SollecitoError(f"templates/{shipped.code}: {error}", code=error.code) from error


def _publish_ladder(row: Ladder, shipped: ShippedLadder, templates: dict[str, int], now: datetime) -> None:
    draft = ladder_draft(ladder_id=row.pk)
    draft.steps.all().delete()
    head, _steps = _wanted(shipped, templates)
    draft.end_actions, draft.end_after_hours, draft.min_gap_hours = list(head[0]), head[1], head[2]
    draft.save(update_fields=["end_actions", "end_after_hours", "min_gap_hours"])
    Step.objects.bulk_create(shipped_steps(shipped, templates, version=draft))
    try:
        ladder_publish(version_id=draft.pk, actor_id=None, now=now)
    except SollecitoError as error:
        raise SollecitoError(f"ladders/{shipped.code}.yaml: {error}", code=error.code) from error


def shipped_steps(ladder: ShippedLadder, templates: dict[str, int], **fields: object) -> list[Step]:
    """A shipped ladder's steps as rows not yet written; `templates` are ids by code, `fields` go to every row."""
    _head, steps = _wanted(ladder, templates)
    return [Step(**dict(zip(_STEP_FIELDS, values, strict=True)), **fields) for values in steps]


_STEP_FIELDS = (
    "position", "key", "name", "offset", "offset_unit", "anchor", "window_days", "window_from", "window_to",
    "business_days", "action", "channel", "template_id", "condition", "wait_for_retry_hours",
)  # fmt: skip
_Spelled = tuple[tuple[tuple[str, ...], int, int], list[tuple[object, ...]]]


def _wanted(ladder: ShippedLadder, templates: dict[str, int]) -> _Spelled:
    rows: list[tuple[object, ...]] = []
    for position, step in enumerate(ladder.steps, start=1):
        if step.template and step.template not in templates:
            raise SollecitoError(
                f"ladders/{ladder.code}.yaml: step {position} names the template {step.template!r}, which is missing.",
                code="template_missing",
            )
        rows.append(
            (
                position, step.key, step.name, step.after.amount, step.after.unit, step.anchor,
                list(step.window_days), step.window_from, step.window_to, step.business_days, step.action,
                step.channel, templates[step.template] if step.template else None, dict(step.condition),
                step.wait_for_retry_hours,
            )
        )  # fmt: skip
    return (tuple(ladder.end_actions), ladder.end_after_hours, ladder.min_gap_hours), rows


def _spelled(version: LadderVersion) -> _Spelled:
    steps = [tuple(row) for row in version.steps.order_by("position").values_list(*_STEP_FIELDS)]
    return (tuple(version.end_actions), version.end_after_hours, version.min_gap_hours), steps
