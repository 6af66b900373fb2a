"""Reads what cases share, once per batch: ladder versions as specs, and which texts are published."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from billing.retries.taxonomy import POLICIES, Category
from campaigns.engine.types import LadderSpec, StepSpec
from campaigns.models import LadderVersion, Step, TemplateText, TemplateVersion

_CATEGORIES = frozenset(category.value for category in Category)


@dataclass(frozen=True, slots=True)
class PublishedText:
    """The published version of a template and the languages it speaks."""

    version_id: int
    languages: frozenset[str]

    def language(self, *wanted: str) -> str:
        """The first wanted language it speaks (`it-CH` is heard as `it`), else English, else any of its own."""
        for code in (*wanted, "en"):
            base = code.partition("-")[0].lower()
            if code in self.languages:
                return code
            if base in self.languages:
                return base
        return min(self.languages)


def published_texts(codes: Collection[str] | None = None) -> dict[int, PublishedText]:
    """Published texts by template id; with `codes` of those templates only. One query."""
    rows = TemplateText.objects.filter(version__status=TemplateVersion.Status.PUBLISHED)
    if codes is not None:
        rows = rows.filter(version__template__code__in=codes)
    found: dict[int, tuple[int, set[str]]] = {}
    for template_id, version_id, language in rows.values_list("version__template_id", "version_id", "language"):
        found.setdefault(template_id, (version_id, set()))[1].add(language)
    return {key: PublishedText(version, frozenset(languages)) for key, (version, languages) in found.items()}


def ladder_specs(version_ids: Collection[int], texts: dict[int, PublishedText]) -> dict[int, LadderSpec]:
    """Specs of ladder versions by id. Two queries."""
    steps: dict[int, list[StepSpec]] = {}
    for step in Step.objects.filter(version_id__in=version_ids).order_by("version_id", "position"):
        steps.setdefault(step.version_id, []).append(step_spec(step, has_text=step.template_id in texts))
    return {
        version.pk: LadderSpec(
            version_id=version.pk,
            steps=tuple(steps.get(version.pk, ())),
            end_actions=tuple(version.end_actions),
            end_after_hours=version.end_after_hours,
            min_gap_hours=version.min_gap_hours,
        )
        for version in LadderVersion.objects.filter(pk__in=version_ids).only(
            "end_actions", "end_after_hours", "min_gap_hours"
        )
    }


def step_spec(step: Step, *, has_text: bool = True) -> StepSpec:
    """A step's row as the engine reads it."""
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
        condition=step.condition or {},
        window_days=tuple(step.window_days),
        window_from=step.window_from,
        window_to=step.window_to,
        business_days=step.business_days,
        wait_for_retry_hours=step.wait_for_retry_hours,
    )


@lru_cache(maxsize=64)
def asks_for(category: str) -> str:
    """What only the customer can do about a decline of this category; empty for none."""
    return POLICIES[Category(category)].asks_for.value if category in _CATEGORIES else ""
