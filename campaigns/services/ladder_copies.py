"""Drafts made from what there is: a ladder copied under a new name, an old version taken up again."""

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Ladder, LadderVersion, Step, VersionStatus
from campaigns.services.versions import VERSION_FIELDS, ladder_draft
from customers.errors import SollecitoError

#: Lowest number a priority can have (the column's).
_FIRST = -32_768


@transaction.atomic
def ladder_copy(*, ladder_id: int, code: str, name: str, before: bool = True) -> LadderVersion:
    """The draft of a new ladder that says what this one's published version (else its draft) says.

    With `before` the copy is offered cases before the original once it is published; otherwise after it. Raises
    SollecitoError for a code that is taken and for a ladder there is not.
    """
    source = Ladder.objects.filter(pk=ladder_id).first()
    if source is None:
        raise SollecitoError(_("There is no such ladder."), code="ladder_missing")
    if Ladder.objects.filter(code=code).exists():
        raise SollecitoError(_("There is a ladder with the code “%(code)s” already.") % {"code": code}, code="taken")
    copy = Ladder.objects.create(
        code=code,
        name=name,
        description=source.description,
        trigger=source.trigger,
        brand_id=source.brand_id,
        segment_id=source.segment_id,
        priority=max(source.priority - 1, _FIRST) if before else source.priority,
    )
    draft = LadderVersion.objects.create(ladder=copy, number=1)
    versions = LadderVersion.objects.filter(ladder=source)
    said = versions.filter(status=VersionStatus.PUBLISHED).first() or versions.first()
    if said is not None:
        _take_over(draft, said)
    return draft


@transaction.atomic
def ladder_restore(*, version_id: int, replace: bool = False) -> LadderVersion:
    """A draft equal to an old version, for review and publishing; the old version itself never changes.

    Raises SollecitoError if the ladder has a draft with steps already, unless `replace` lets it go.
    """
    old = LadderVersion.objects.select_related("ladder").filter(pk=version_id).first()
    if old is None:
        raise SollecitoError(_("There is no such version."), code="version_missing")
    if old.status == VersionStatus.DRAFT:
        raise SollecitoError(_("This is the draft."), code="version_is_draft")
    draft = ladder_draft(ladder_id=old.ladder_id)
    draft = LadderVersion.objects.select_for_update().get(pk=draft.pk)
    live = LadderVersion.objects.filter(ladder_id=old.ladder_id, status=VersionStatus.PUBLISHED).first()
    if not replace and _differs(draft, live):
        raise SollecitoError(
            _("Version %(number)d is being drafted; publish it, delete it or have it replaced.")
            % {"number": draft.number},
            code="draft_exists",
        )
    draft.steps.all().delete()
    _take_over(draft, old)
    draft.note = _("Back to version %(number)d") % {"number": old.number}
    draft.save(update_fields=["note"])
    return draft


def _take_over(draft: LadderVersion, said: LadderVersion) -> None:
    for name in VERSION_FIELDS:
        setattr(draft, name, getattr(said, name))
    draft.save(update_fields=VERSION_FIELDS)
    steps = list(said.steps.order_by("position"))
    for step in steps:
        step.pk, step.version = None, draft
        step._state.adding = True
    Step.objects.bulk_create(steps)


def _differs(draft: LadderVersion, live: LadderVersion | None) -> bool:
    """True if somebody has worked on the draft: it says something else than the version it was made from."""
    if live is None:
        return draft.steps.exists()
    return _said(draft) != _said(live)


def _said(version: LadderVersion) -> tuple[object, ...]:
    names = [field.attname for field in Step._meta.concrete_fields if field.attname not in ("id", "version_id")]
    steps = list(version.steps.order_by("position").values_list(*names))
    return (*(getattr(version, name) for name in VERSION_FIELDS), steps)
