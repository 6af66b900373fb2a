"""Reads what cases share, once per batch: ladder versions as specs, and which texts are published."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from django.db import connection

from billing.retries.taxonomy import POLICIES, Category
from campaigns.engine.types import LadderSpec, StepSpec
from campaigns.models import LadderVersion, Step, VersionStatus
from campaigns.models.template import TEXT_OF
from customers.models import Channel
from customers.rows import rows

#: Ways that need no text of ours: a person speaks.
WORDLESS = frozenset({Channel.CALL.value})
NOTHING: frozenset[str] = frozenset()
# Plain SQL here and for the ladders: read with every batch, however small.
_TEXTS = """
    SELECT v.template_id, v.id, x.channel, x.language
      FROM campaigns_templatetext x
      JOIN campaigns_templateversion v ON v.id = x.version_id AND v.status = 'published'
      JOIN campaigns_template t ON t.id = v.template_id
     WHERE (t.code = ANY(%s::text[])) IS NOT FALSE
"""
_CATEGORIES = frozenset(category.value for category in Category)


@dataclass(frozen=True, slots=True)
class PublishedText:
    """The published version of a template and the languages it speaks, by channel."""

    version_id: int
    channels: Mapping[str, frozenset[str]]

    def text_channel(self, channel: str) -> str:
        """The channel whose text a message over `channel` takes: its own, else a close relative's; empty: none."""
        for kind in (channel, *TEXT_OF.get(channel, ())):
            if kind in self.channels:
                return kind
        return ""

    def language(self, channel: str, *wanted: str) -> str:
        """The first wanted language it speaks over `channel` (`it-CH` is heard as `it`), else English, else any of
        its own. Raises KeyError if it has no text for that channel (see `text_channel`)."""
        languages = self.channels[self.text_channel(channel)]
        for code in (*wanted, "en"):
            base = code.partition("-")[0].lower()
            if code in languages:
                return code
            if base in languages:
                return base
        return min(languages)


def published_texts(codes: Collection[str] | None = None) -> dict[int, PublishedText]:
    """Published texts by template id; with `codes` of those templates only. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS, [None if codes is None else list(codes)])
        texts = cursor.fetchall()
    found: dict[int, tuple[int, dict[str, set[str]]]] = {}
    for template_id, version_id, channel, language in texts:
        found.setdefault(template_id, (version_id, {}))[1].setdefault(channel, set()).add(language)
    return {
        key: PublishedText(version, {channel: frozenset(spoken) for channel, spoken in channels.items()})
        for key, (version, channels) in found.items()
    }


def ladder_specs(version_ids: Collection[int], texts: dict[int, PublishedText]) -> dict[int, LadderSpec]:
    """Specs of ladder versions by id. Two queries."""
    steps: dict[int, list[StepSpec]] = {}
    for step in rows(Step, "version_id = ANY(%s) AND enabled ORDER BY version_id, position", [list(version_ids)]):
        steps.setdefault(step.version_id, []).append(_published_spec(step, texts.get(step.template_id or 0)))
    return {
        version.pk: LadderSpec(
            version_id=version.pk,
            steps=tuple(steps.get(version.pk, ())),
            end_actions=tuple(version.end_actions),
            end_after_hours=version.end_after_hours,
            min_gap_hours=version.min_gap_hours,
            silent_hours=version.silent_hours,
            end_params=version.end_params,
            ladder_id=version.ladder_id,
        )
        for version in rows(LadderVersion, "id = ANY(%s)", [list(version_ids)])
    }


def published_versions(codes: Collection[str]) -> dict[str, int]:
    """Ids of the published versions of active ladders, by the ladder's code. One query."""
    found = LadderVersion.objects.filter(
        status=VersionStatus.PUBLISHED, ladder__active=True, ladder__code__in=codes
    ).values_list("ladder__code", "id")
    return dict(found)


def step_spec(step: Step) -> StepSpec:
    """A step's row as the engine reads it, taken for one whose template speaks over all its channels."""
    return _spec(step, has_text=True, mute=NOTHING)


def _published_spec(step: Step, text: PublishedText | None) -> StepSpec:
    if text is None:
        return _spec(step, has_text=False, mute=NOTHING)
    return _spec(step, has_text=True, mute=mute_ways(step, text))


def mute_ways(step: Step | StepSpec, text: PublishedText) -> frozenset[str]:
    """The step's channels that a text has no words for."""
    ways = (step.channel, *step.fallback_channels)
    return frozenset(way for way in ways if way not in WORDLESS and not text.text_channel(way))


def _spec(step: Step, *, has_text: bool, mute: frozenset[str]) -> StepSpec:
    return StepSpec(
        id=step.pk,
        position=step.position,
        key=step.key,
        name=step.name,
        offset=step.offset,
        offset_unit=step.offset_unit,
        anchor=step.anchor,
        action=step.action,
        channel=step.channel,
        template_id=step.template_id,
        has_text=has_text,
        mute=mute,
        condition=step.condition or {},
        window_days=tuple(step.window_days),
        window_from=step.window_from,
        window_to=step.window_to,
        business_days=step.business_days,
        wait_for_retry_hours=step.wait_for_retry_hours,
        fallback_channels=tuple(step.fallback_channels),
        params=step.params or {},
    )


@lru_cache(maxsize=64)
def asks_for(category: str) -> str:
    """What only the customer can do about a decline of this category; empty for none."""
    return POLICIES[Category(category)].asks_for.value if category in _CATEGORIES else ""
