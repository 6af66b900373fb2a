"""Ladders out to files and in from them: what a version says as a document, and a draft filled from one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.ladder_yaml import LadderDoc, StepDoc, read_ladder, write_ladder
from campaigns.models import Action, Ladder, LadderVersion, Segment, Step, Template, VersionStatus
from campaigns.services.versions import ladder_draft
from campaigns.yaml_reading import Span
from customers.errors import SollecitoError
from customers.models import Brand


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made: the draft, whether its ladder is new, and settings of the file that were not taken over."""

    version: LadderVersion
    created: bool
    kept: tuple[str, ...] = ()


def doc_of(version: LadderVersion, steps: Iterable[Step] | None = None) -> LadderDoc:
    """What a version says. `steps` (with their templates) if they were read already; else one query more."""
    if steps is None:
        steps = version.steps.select_related("template").order_by("position")
    ladder = version.ladder
    return LadderDoc(
        code=ladder.code,
        name=ladder.name,
        description=ladder.description,
        trigger=ladder.trigger,
        brand=ladder.brand.code if ladder.brand else "",
        segment=ladder.segment.code if ladder.segment else "",
        priority=ladder.priority,
        steps=tuple(_step_doc(step) for step in steps),
        end_actions=tuple(version.end_actions),
        end_params=version.end_params,
        end_after_hours=version.end_after_hours,
        min_gap_hours=version.min_gap_hours,
        silent_hours=version.silent_hours,
        pause_after_reply_days=version.pause_after_reply_days,
    )


def content(doc: LadderDoc) -> LadderDoc:
    """The document without what belongs to the ladder rather than to its version: equal if two versions are."""
    return replace(doc, code="", name="", description="", trigger="", brand="", segment="", priority=100)


def ladder_export(*, version_id: int) -> str:
    """The version as a YAML file. Raises SollecitoError if there is none."""
    version = LadderVersion.objects.select_related("ladder__brand", "ladder__segment").filter(pk=version_id).first()
    if version is None:
        raise SollecitoError(_("There is no such version."), code="version_missing")
    return write_ladder(doc_of(version))


@transaction.atomic
def ladder_import(*, source: str, place: str = "ladder", settings: bool = False) -> Imported:
    """Makes a draft of a YAML file: of the ladder with its code, or of a new one (which takes no case unpublished).

    A draft that is being edited is refused rather than overwritten. Name, trigger, brand, segment and priority of a
    ladder in use apply at once and not with the draft, so they are taken over with `settings` only; otherwise what
    differs is named in `kept`. Raises LadderFileError with the line at fault, SollecitoError for a draft in the way.
    """
    doc = read_ladder(source, place)
    brand = Brand.objects.filter(code=doc.brand).first() if doc.brand else None
    if doc.brand and brand is None:
        doc.refuse("brand", _("there is no brand %(code)s.") % {"code": doc.brand})
    segment = Segment.objects.filter(code=doc.segment).first() if doc.segment else None
    if doc.segment and segment is None:
        doc.refuse("segment", _("there is no segment %(code)s.") % {"code": doc.segment})
    head = {
        "name": doc.name,
        "description": doc.description,
        "trigger": doc.trigger,
        "brand": brand,
        "segment": segment,
        "priority": doc.priority,
    }
    ladder, created = Ladder.objects.get_or_create(code=doc.code, defaults=head)
    in_use = ladder.versions.filter(status=VersionStatus.PUBLISHED).exists()
    differs = tuple(name for name, value in head.items() if getattr(ladder, name) != value)
    if differs and (settings or not in_use):
        for name in differs:
            setattr(ladder, name, head[name])
        ladder.save(update_fields=differs)
        differs = ()
    draft = LadderVersion.objects.filter(ladder=ladder, status=VersionStatus.DRAFT).first()
    if draft is not None and draft.steps.exists():
        raise SollecitoError(
            _("%(place)s: “%(ladder)s” has a draft already; publish or delete it first.")
            % {"place": place, "ladder": ladder},
            code="draft_exists",
        )
    draft = draft or ladder_draft(ladder_id=ladder.pk)
    draft_fill(version=draft, doc=doc)
    return Imported(draft, created, differs)


@transaction.atomic
def draft_fill(*, version: LadderVersion, doc: LadderDoc) -> None:
    """Makes a draft say what the document says. Raises LadderFileError for a template or ladder there is not."""
    if version.status != VersionStatus.DRAFT:
        raise SollecitoError(_("Only a draft can be filled."), code="version_not_draft")
    wanted = {step.template for step in doc.steps if step.template}
    templates = dict(Template.objects.filter(code__in=wanted).values_list("code", "pk"))
    for number, step in enumerate(doc.steps, start=1):
        if step.template and step.template not in templates:
            doc.refuse(
                f"steps[{number}].template", _("there is no template %(code)s.") % {"code": repr(step.template)}
            )
    _check_ladders(doc)
    version.end_actions, version.end_params = list(doc.end_actions), dict(doc.end_params)
    version.end_after_hours, version.min_gap_hours = doc.end_after_hours, doc.min_gap_hours
    version.silent_hours, version.pause_after_reply_days = doc.silent_hours, doc.pause_after_reply_days
    version.save()
    version.steps.all().delete()
    Step.objects.bulk_create(doc_steps(doc, templates, version=version))


def doc_steps(doc: LadderDoc, templates: Mapping[str, int], **fields: object) -> list[Step]:
    """The document's steps as rows not yet written; `templates` are ids by code, `fields` go to every row."""
    return [
        Step(
            position=position,
            key=step.key,
            name=step.name,
            enabled=step.enabled,
            offset=step.after.amount,
            offset_unit=step.after.unit,
            anchor=step.anchor,
            window_days=list(step.window_days),
            window_from=step.window_from,
            window_to=step.window_to,
            business_days=step.business_days,
            action=step.action,
            params=dict(step.params),
            channel=step.channel,
            fallback_channels=list(step.fallback_channels),
            template_id=templates.get(step.template),
            condition=dict(step.condition),
            wait_for_retry_hours=step.wait_for_retry_hours,
            **fields,
        )
        for position, step in enumerate(doc.steps, start=1)
    ]


def _check_ladders(doc: LadderDoc) -> None:
    named = {
        f"steps[{number}].params.ladder": step.params.get("ladder")
        for number, step in enumerate(doc.steps, start=1)
        if step.action == Action.START_LADDER
    }
    if Action.START_LADDER in doc.end_actions:
        named["end_params.start_ladder"] = (doc.end_params.get("start_ladder") or {}).get("ladder")
    known = set(Ladder.objects.filter(code__in=[c for c in named.values() if c]).values_list("code", flat=True))
    for path, code in named.items():
        if code not in known and code != doc.code:
            doc.refuse(path, _("there is no ladder %(code)s.") % {"code": repr(code)})


def _step_doc(step: Step) -> StepDoc:
    return StepDoc(
        key=step.key,
        name=step.name,
        enabled=step.enabled,
        after=Span(step.offset, step.offset_unit),
        anchor=step.anchor,
        window_days=tuple(step.window_days),
        window_from=step.window_from,
        window_to=step.window_to,
        business_days=step.business_days,
        action=step.action,
        params=step.params or {},
        channel=step.channel,
        fallback_channels=tuple(step.fallback_channels),
        template=step.template.code if step.template else "",
        condition=step.condition or {},
        wait_for_retry_hours=step.wait_for_retry_hours,
    )
