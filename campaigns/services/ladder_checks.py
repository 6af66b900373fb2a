"""Refuses ladders that could not be climbed, before they are published; every refusal names the place."""

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext as _

from campaigns.engine.actions import check_params
from campaigns.engine.conditions import check_condition
from campaigns.engine.ladder import check_steps
from campaigns.engine.specs import WORDLESS, PublishedText, published_texts, step_spec
from campaigns.models import Action, EndAction, Ladder, LadderVersion, Step, VersionStatus
from campaigns.models.ladder import PRE_DUNNING
from customers.errors import SollecitoError

#: What a ladder about a day that is coming may do: nothing is owed yet.
_GENTLE = frozenset({Action.MESSAGE.value, Action.CALL_TASK.value, Action.NOTIFY_STAFF.value, Action.TAG.value})


def ladder_check(version: LadderVersion) -> None:
    """Raises SollecitoError for a version without enabled steps, with steps out of order or on the wrong side of the
    day, a window that never opens, conditions or parameters the engine does not know, a message without published
    text over one of its channels, or a chain of ladders that comes back to this one."""
    steps = list(version.steps.filter(enabled=True).select_related("template").order_by("position"))
    if not steps:
        raise SollecitoError(_("A ladder needs at least one step."), code="ladder_empty")
    trigger = version.ladder.trigger
    check_steps([step_spec(step) for step in steps], trigger=trigger)
    texts = published_texts()
    for number, step in enumerate(steps, start=1):
        place = _("Step %(number)s “%(step)s”") % {"number": number, "step": step.name}
        _check_step(step, place, texts, ahead=trigger in PRE_DUNNING)
    _check_end(version, ahead=trigger in PRE_DUNNING)
    _check_chain(version, steps)


def _check_step(step: Step, place: str, texts: Mapping[int, PublishedText], *, ahead: bool) -> None:
    try:
        check_condition(step.condition)
    except SollecitoError as error:
        raise SollecitoError(f"{place}: {error}", code=error.code) from error
    check_params(step.action, step.params or {}, place)
    if ahead and step.action not in _GENTLE:
        raise SollecitoError(
            _("%(place)s: nothing is owed yet, so “%(action)s” has no place here.")
            % {"place": place, "action": step.get_action_display()},
            code="action_too_early",
        )
    if step.action != Action.MESSAGE:
        return
    names = {"place": place, "template": step.template}
    text = texts.get(step.template_id or 0)
    if text is None:
        raise SollecitoError(
            _("%(place)s sends “%(template)s”, which has no published text.") % names, code="template_unpublished"
        )
    if step.channel in step.fallback_channels or len(set(step.fallback_channels)) != len(step.fallback_channels):
        raise SollecitoError(_("%(place)s names a channel twice.") % names, code="channel_twice")
    for channel in (step.channel, *step.fallback_channels):
        if channel not in WORDLESS and not text.text_channel(channel):
            raise SollecitoError(
                _("%(place)s sends “%(template)s” over %(channel)s, for which it has no text.")
                % (names | {"channel": channel}),
                code="template_without_channel",
            )


def _check_end(version: LadderVersion, *, ahead: bool) -> None:
    place = _("The end of the ladder")
    if ahead and version.end_actions:
        raise SollecitoError(
            _("%(place)s: a ladder about a day that is coming ends with that day.") % {"place": place},
            code="action_too_early",
        )
    if unknown := sorted(set(version.end_params) - set(version.end_actions)):
        raise SollecitoError(
            _("%(place)s has parameters for what it does not do: %(names)s.")
            % {"place": place, "names": ", ".join(unknown)},
            code="bad_params",
        )
    for action in version.end_actions:
        check_params(action, version.end_params.get(action, {}), place)


def _check_chain(version: LadderVersion, steps: Sequence[Step]) -> None:
    """Follows `start_ladder` from this version through the published ones; a way back would never end."""
    wanted = _targets(steps, version)
    if not wanted:
        return
    codes = set(Ladder.objects.filter(active=True).values_list("code", flat=True))
    published: dict[str, set[str]] = {}
    rows = LadderVersion.objects.filter(status=VersionStatus.PUBLISHED).select_related("ladder")
    for row in rows.prefetch_related("steps"):
        published[row.ladder.code] = _targets([step for step in row.steps.all() if step.enabled], row)
    own = version.ladder.code
    for target in sorted(wanted):
        if target not in codes:
            raise SollecitoError(
                _("The ladder goes over to “%(code)s”, which does not exist.") % {"code": target},
                code="ladder_missing",
            )
        if target != own and target not in published:
            raise SollecitoError(
                _("The ladder goes over to “%(code)s”, which has no published version.") % {"code": target},
                code="ladder_unpublished",
            )
    published[own] = wanted
    way = _way_back(own, published)
    if way:
        raise SollecitoError(_("The ladders go in a circle: %(way)s.") % {"way": " → ".join(way)}, code="ladder_cycle")


def _targets(steps: Sequence[Step], version: LadderVersion) -> set[str]:
    found = {str(s.params.get("ladder", "")) for s in steps if s.action == Action.START_LADDER}
    if EndAction.START_LADDER in version.end_actions:
        found.add(str(version.end_params.get(EndAction.START_LADDER.value, {}).get("ladder", "")))
    return found


def _way_back(start: str, edges: Mapping[str, set[str]]) -> list[str]:
    """The codes from `start` back to itself; empty if there is no way."""
    ways = [[start, target] for target in sorted(edges.get(start, ()))]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == start:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, target] for target in sorted(edges.get(way[-1], ()))]
    return []
