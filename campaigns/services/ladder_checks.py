"""What is wrong with a ladder's version before it is published: errors that refuse it, warnings that are shown.

Found at the desk and not on the night a step would act. Each problem names its step and field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from campaigns.channels.base import closed_channels
from campaigns.engine.actions import check_params
from campaigns.engine.conditions import check_condition
from campaigns.engine.ladder import check_steps
from campaigns.engine.specs import WORDLESS, PublishedText, published_texts, step_spec
from campaigns.engine.variants import variants_of
from campaigns.models import Action, EndAction, Ladder, LadderVersion, Step, TemplateVariant, VersionStatus
from campaigns.models.ladder import PRE_DUNNING
from campaigns.services.template_variants import variant_gaps
from customers.errors import SollecitoError
from customers.models import Channel
from customers.models.customer import LANGUAGES

#: What a ladder about a day that is coming may do: nothing is owed yet.
_GENTLE = frozenset({Action.MESSAGE.value, Action.CALL_TASK.value, Action.NOTIFY_STAFF.value, Action.TAG.value})

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True, slots=True)
class LadderProblem:
    """One thing wrong; `step_id` and `field` say where, both empty for the ladder as a whole."""

    severity: str
    code: str
    #: Names the place and what is wrong; `words` leaves the step out, for where it is plain.
    message: str
    step_id: int | None = None
    field: str = ""
    words: str = ""

    @property
    def is_error(self) -> bool:
        """True if the version cannot be published with it."""
        return self.severity == ERROR


def ladder_problems(version: LadderVersion, steps: Sequence[Step] | None = None) -> list[LadderProblem]:
    """Everything wrong with a version, errors first. `steps` (with templates) if they were read already.

    Steps that are switched off are checked less: they must be readable, no more. A fixed number of queries.
    """
    if steps is None:
        steps = list(version.steps.select_related("template").order_by("position"))
    enabled = [step for step in steps if step.enabled]
    found: list[LadderProblem] = []
    if not enabled:
        found.append(LadderProblem(ERROR, "ladder_empty", _("A ladder needs at least one step that is switched on.")))
    try:
        check_steps([step_spec(step) for step in enabled], trigger=version.ladder.trigger)
    except SollecitoError as error:
        found.append(LadderProblem(ERROR, error.code, error.message))
    texts = published_texts()
    variants = variants_of(step.template_id for step in enabled if step.template_id)
    ahead = version.ladder.trigger in PRE_DUNNING
    for step in steps:
        found += _conditions_and_parameters(step)
    for step in enabled:
        if step.action == Action.MESSAGE:
            found += _message(step, texts)
            found += _variants(step, texts, variants.get(step.template_id or 0, ()))
        elif ahead and step.action not in _GENTLE:
            words = _("nothing is owed yet, so “%(action)s” has no place here.")
            words %= {"action": step.get_action_display()}
            found.append(_step(step, ERROR, "action_too_early", words, "action"))
    found += _end(version, ahead=ahead)
    found += _other_ladders(version, enabled)
    return sorted(found, key=lambda problem: not problem.is_error)


def ladder_check(version: LadderVersion) -> None:
    """Raises SollecitoError with every error of a version, the code of the first; warnings pass."""
    if errors := [problem for problem in ladder_problems(version) if problem.is_error]:
        raise SollecitoError(" ".join(problem.message for problem in errors), code=errors[0].code)


def _step(step: Step, severity: str, code: str, words: str, field: str) -> LadderProblem:
    named = _("Step %(number)d “%(step)s”: %(words)s") % {"number": step.position, "step": step.name, "words": words}
    return LadderProblem(severity, code, named, step.pk, field, words)


def _conditions_and_parameters(step: Step) -> list[LadderProblem]:
    found = []
    try:
        check_condition(step.condition or {})
    except SollecitoError as error:
        found.append(_step(step, ERROR, error.code, error.message, "condition"))
    try:
        check_params(step.action, step.params or {}, _("Parameters"))
    except SollecitoError as error:
        found.append(_step(step, ERROR, error.code, error.message, "params"))
    return found


def _end(version: LadderVersion, *, ahead: bool) -> list[LadderProblem]:
    found = []
    if ahead and version.end_actions:
        words = _("a ladder about a day that is coming ends with that day.")
        found.append(_at(None, ERROR, "action_too_early", words))
    if unknown := sorted(set(version.end_params or {}) - set(version.end_actions)):
        words = _("there are parameters for what is not done: %(names)s.") % {"names": ", ".join(unknown)}
        found.append(_at(None, ERROR, "bad_params", words))
    for action in version.end_actions:
        try:
            check_params(action, (version.end_params or {}).get(action) or {}, _("Parameters"))
        except SollecitoError as error:
            found.append(_at(None, ERROR, error.code, error.message))
    return found


def _message(step: Step, texts: Mapping[int, PublishedText]) -> list[LadderProblem]:
    text = texts.get(step.template_id or 0)
    if step.template is None or text is None:
        words = _("it sends “%(template)s”, which has no published text.") % {"template": step.template or "–"}
        return [_step(step, ERROR, "template_unpublished", words, "template")]
    found = []
    unwritten: dict[str, None] = {}
    closed = closed_channels()
    channels = (step.channel, *step.fallback_channels)
    if len(set(channels)) != len(channels):
        found.append(_step(step, ERROR, "channel_twice", _("it names a channel twice."), "channel"))
    for channel in dict.fromkeys(channels):
        if channel in WORDLESS:
            continue
        label = Channel(channel).label if channel in Channel.values else channel
        if not text.text_channel(channel):
            words = _("“%(template)s” has no text for %(channel)s.") % {"template": step.template, "channel": label}
            found.append(_step(step, ERROR, "template_without_channel", words, "template"))
            continue
        if channel in closed:
            words = _("%(channel)s is not set up (%(missing)s): nothing will leave by it.")
            words %= {"channel": label, "missing": closed[channel]}
            found.append(_step(step, WARNING, "channel_unconfigured", words, "channel"))
        spoken = text.channels[text.text_channel(channel)]
        unwritten |= {str(name): None for code, name in LANGUAGES if code not in spoken}
    if unwritten:
        words = _("“%(template)s” is not written in %(languages)s; their readers get another language.")
        words %= {"template": step.template, "languages": ", ".join(unwritten)}
        found.append(_step(step, WARNING, "language_missing", words, "template"))
    return found


def _variants(
    step: Step, texts: Mapping[int, PublishedText], variants: Sequence[TemplateVariant]
) -> list[LadderProblem]:
    """Texts for segments that this step would pass over; the general one is written then, so none refuses."""
    general = texts.get(step.template_id or 0)
    if general is None:
        return []
    ways = (step.channel, *step.fallback_channels)
    gaps = [words for variant in variants for words in variant_gaps(variant, general, texts, ways)]
    return [_step(step, WARNING, "variant_gap", words, "template") for words in gaps]


# --- ladders that go on with one another


def _goes_on_with(version: LadderVersion, steps: Sequence[Step]) -> dict[str, Step | None]:
    """Codes of the ladders a version starts, with the step that does it (None: at its end)."""
    found: dict[str, Step | None] = {
        str(step.params.get("ladder", "")): step for step in steps if step.action == Action.START_LADDER
    }
    if EndAction.START_LADDER in version.end_actions:
        code = (version.end_params or {}).get(EndAction.START_LADDER, {}).get("ladder", "")
        found.setdefault(str(code), None)
    return found


def _other_ladders(version: LadderVersion, enabled: Sequence[Step]) -> list[LadderProblem]:
    own = _goes_on_with(version, enabled)
    if not own:
        return []
    graph = _published_graph()
    graph[version.ladder.code] = set(own)
    names = dict(Ladder.objects.filter(active=True).values_list("code", "name"))
    found = []
    for code, step in own.items():
        if code not in names:
            words = _("there is no ladder “%(ladder)s” in use to go on with.") % {"ladder": code}
            found.append(_at(step, ERROR, "ladder_missing", words))
        elif circle := _way_back(graph, code, version.ladder.code):
            words = _("the ladders start each other in a circle: %(circle)s.") % {
                "circle": " → ".join((version.ladder.code, *circle))
            }
            found.append(_at(step, ERROR, "ladder_cycle", words))
        elif code not in graph:
            words = _("“%(ladder)s” is not published yet: no case can go on with it.") % {"ladder": names[code]}
            found.append(_at(step, ERROR, "ladder_unpublished", words))
    return found


def _at(step: Step | None, severity: str, code: str, words: str) -> LadderProblem:
    if step is not None:
        return _step(step, severity, code, words, "params")
    return LadderProblem(
        severity, code, _("At the end: %(words)s") % {"words": words}, field="end_params", words=words
    )


def _published_graph() -> dict[str, set[str]]:
    """Every published ladder with the ones it starts, by code. Two queries."""
    live = LadderVersion.objects.filter(status=VersionStatus.PUBLISHED).select_related("ladder")
    steps: dict[int, list[Step]] = {}
    for step in Step.objects.filter(
        version__status=VersionStatus.PUBLISHED, action=Action.START_LADDER, enabled=True
    ).only("version_id", "action", "params"):
        steps.setdefault(step.version_id, []).append(step)
    return {row.ladder.code: set(_goes_on_with(row, steps.get(row.pk, ()))) for row in live}


def _way_back(graph: Mapping[str, set[str]], start: str, home: str) -> tuple[str, ...]:
    """The shortest way from `start` to `home` along the graph, both named; empty if there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == home:
            return way
        for code in sorted(graph.get(way[-1], set()) - seen):
            seen.add(code)
            ways.append((*way, code))
    return ()
