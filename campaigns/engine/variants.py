"""Which template a customer is written where one has variants for segments: chosen for a whole batch at once.

A variant acts through the ladder's specification, as an experiment's arm does, and before it: who gets a segment's
own text takes no part in an experiment on the general one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from campaigns.engine.specs import PublishedText, mute_ways
from campaigns.engine.types import LadderSpec, StepSpec
from campaigns.models import Action, TemplateVariant
from campaigns.segments.evaluate import segments_of

NO_SEGMENTS: frozenset[int] = frozenset()


@dataclass(slots=True)
class Variants:
    """Variants of some templates and which of their segments each customer of a batch is in."""

    #: Template → its variants, in order.
    of: Mapping[int, Sequence[TemplateVariant]] = field(default_factory=dict)
    segments: Mapping[int, frozenset[int]] = field(default_factory=dict)
    _made: dict[tuple[int, tuple[tuple[int, int], ...]], LadderSpec] = field(default_factory=dict)

    def fitting(self, template_id: int, customer_id: int) -> list[TemplateVariant]:
        """The variants of a template whose segment the customer is in, the one that counts first."""
        inside = self.segments.get(customer_id, NO_SEGMENTS)
        return [variant for variant in self.of.get(template_id, ()) if variant.segment_id in inside] if inside else []

    def ladder(self, spec: LadderSpec, customer_id: int, texts: Mapping[int, PublishedText]) -> LadderSpec:
        """The ladder with the templates this customer is written; the same object for all with the same ones."""
        if not self.segments.get(customer_id):
            return spec
        chosen: dict[int, TemplateVariant] = {}
        for step in spec.steps:
            if step.action == Action.MESSAGE and step.template_id is not None:
                fitting = self.fitting(step.template_id, customer_id)
                variant = next((v for v in fitting if speaks_for(step, texts.get(v.instead_id))), None)
                if variant is not None:
                    chosen[step.id] = variant
        if not chosen:
            return spec
        key = (spec.version_id, tuple((step_id, variant.pk) for step_id, variant in chosen.items()))
        made = self._made.get(key)
        if made is None:
            steps = tuple(
                _written(step, chosen[step.id].instead_id, texts) if step.id in chosen else step for step in spec.steps
            )
            made = self._made[key] = replace(spec, steps=steps, variants=key[1])
        return made


NO_VARIANTS = Variants()


def speaks_for(step: StepSpec, text: PublishedText | None) -> bool:
    """Whether a published text may stand in for a step's own: it speaks over each of its ways that one speaks over,
    so that nobody becomes harder to reach by being in a segment."""
    return text is not None and mute_ways(step, text) <= step.mute


def variants_for(template_ids: Iterable[int], customer_ids: Collection[int], now: datetime) -> Variants:
    """The variants of templates for a batch of customers at `now` (aware UTC): one query, two if there are any."""
    of = variants_of(template_ids) if customer_ids else {}
    if not of:
        return NO_VARIANTS
    queries = {variant.segment_id: variant.segment.query for rows in of.values() for variant in rows}
    return Variants(of, segments_of(queries, list(customer_ids), now))


def variants_of(template_ids: Iterable[int]) -> dict[int, list[TemplateVariant]]:
    """The variants of templates in their order, with segment and template written. One query, none for none."""
    wanted = set(template_ids)
    found: dict[int, list[TemplateVariant]] = {}
    if wanted:
        rows = TemplateVariant.objects.filter(template__in=wanted).select_related("segment", "instead")
        for variant in rows.order_by("template", "position", "pk"):
            found.setdefault(variant.template_id, []).append(variant)
    return found


def templates_of(specs: Iterable[LadderSpec]) -> set[int]:
    """Templates that ladders write."""
    return {
        step.template_id
        for spec in specs
        for step in spec.steps
        if step.action == Action.MESSAGE and step.template_id is not None
    }


def _written(step: StepSpec, template_id: int, texts: Mapping[int, PublishedText]) -> StepSpec:
    return replace(step, template_id=template_id, has_text=True, mute=mute_ways(step, texts[template_id]))
