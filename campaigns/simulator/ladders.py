"""Which ladder is simulated: one that is shipped (read from its file, without the database) or a stored version."""

from dataclasses import dataclass

from campaigns.engine.specs import ladder_specs, published_texts, step_spec
from campaigns.engine.standing import Offer
from campaigns.engine.types import LadderSpec
from campaigns.ladder_yaml import LadderDoc
from campaigns.models import LadderVersion, VersionStatus
from campaigns.models.ladder import Action, Trigger
from campaigns.services.ladder_files import doc_steps
from campaigns.shipped_set import shipped_ladders, shipped_templates
from customers.errors import SollecitoError

#: Triggers of invoices the customer pays by hand: business to business, as a rule.
BY_HAND = frozenset({Trigger.INVOICE_OVERDUE.value, Trigger.INVOICE_DUE.value})

#: Code of the shipped segment of companies.
BUSINESSES = "businesses"
#: Version of a ladder read from its file.
SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ladder that can be played; `version` says which of its versions, `shipped` for the file."""

    code: str
    name: str
    trigger: str
    version: str
    spec: LadderSpec

    @property
    def offers(self) -> list[Offer]:
        """The ladder as the assessment is offered it: for every brand, and no other beside it."""
        return [Offer(self.trigger, None, self.spec)]


def shipped(code: str) -> Candidate | None:
    """The shipped ladder of that code; reads files only."""
    return next((_shipped(ladder) for ladder in shipped_ladders() if ladder.code == code), None)


def shipped_b2b() -> list[Candidate]:
    """Every shipped ladder for invoices that are paid by hand, or made for businesses."""
    return [_shipped(one) for one in shipped_ladders() if one.trigger in BY_HAND or one.segment == BUSINESSES]


def stored(code: str, version: str = VersionStatus.PUBLISHED) -> Candidate | None:
    """The stored ladder's version: `published`, `draft` or a number; None if there is none."""
    versions = LadderVersion.objects.filter(ladder__code=code).select_related("ladder")
    found = versions.filter(**({"number": int(version)} if version.isdecimal() else {"status": version})).first()
    return of_version(found) if found is not None else None


def of_version(version: LadderVersion) -> Candidate:
    """A stored version as a candidate; `version.ladder` is loaded. Three queries."""
    spec = ladder_specs({version.pk}, published_texts())[version.pk]
    return Candidate(version.ladder.code, version.ladder.name, version.ladder.trigger, f"v{version.number}", spec)


def find(code: str, version: str = "", *, prefer_stored: bool = False) -> Candidate:
    """The ladder of that code: a stored `version` if one is named, else the shipped file and then what is published,
    or the other way round with `prefer_stored`. Raises SollecitoError if there is none.
    """
    if version:
        found = stored(code, version)
    elif prefer_stored:
        found = stored(code) or shipped(code)
    else:
        found = shipped(code) or stored(code)
    if found is None:
        known = ", ".join(ladder.code for ladder in shipped_ladders())
        which = f" in version {version!r}" if version else ""
        raise SollecitoError(f"There is no ladder {code!r}{which}. Shipped ones: {known}.", code="ladder_missing")
    return found


def _shipped(ladder: LadderDoc) -> Candidate:
    templates = {template.code: number for number, template in enumerate(shipped_templates(), start=1)}
    steps = [step for step in doc_steps(ladder, templates) if step.enabled]
    for step in steps:
        step.pk = step.position
    spec = LadderSpec(
        version_id=0,
        steps=tuple(step_spec(step) for step in steps),
        end_actions=ladder.end_actions,
        end_after_hours=ladder.end_after_hours,
        min_gap_hours=ladder.min_gap_hours,
        silent_hours=ladder.silent_hours,
        end_params=ladder.end_params,
    )
    return Candidate(ladder.code, ladder.name, ladder.trigger, SHIPPED, spec)


def gone_over_to(candidate: Candidate) -> dict[str, LadderSpec]:
    """The ladders a case of this one may go over to, by code, and those they lead to. Where there are none, nothing
    is read; a ladder nobody knows is left out."""
    found: dict[str, LadderSpec] = {}
    ahead = _starts(candidate.spec)
    while ahead:
        code = ahead.pop()
        if code in found or code == candidate.code:
            continue
        one = stored(code) if candidate.version != SHIPPED else shipped(code)
        if one is not None:
            found[code] = one.spec
            ahead |= _starts(one.spec)
    return found


def _starts(spec: LadderSpec) -> set[str]:
    start = Action.START_LADDER.value
    codes = {str(step.params.get("ladder", "")) for step in spec.steps if step.action == start}
    if start in spec.end_actions:
        codes.add(str(spec.end_params.get(start, {}).get("ladder", "")))
    return codes - {""}
