"""What a template's variants for segments come to: who gets which and why, and what is wrong with each."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from campaigns.engine.specs import WORDLESS, PublishedText, published_texts
from campaigns.engine.variants import variants_for, variants_of
from campaigns.models import Template, TemplateVariant
from campaigns.segments.language import SegmentError, parse
from customers.models import Channel
from customers.models.customer import LANGUAGES


@dataclass(frozen=True, slots=True)
class VariantVerdict:
    """One variant as it concerns one customer: `chosen` is the text they are written, `words` why or why not."""

    variant: TemplateVariant
    chosen: bool
    words: str


def variants_explained(*, template_id: int, channel: str, customer_id: int, now: datetime) -> list[VariantVerdict]:
    """Each variant of a template, in order, for a customer written to over `channel` at `now` (aware UTC).

    Three queries at most; none of them chosen means the template's own text is.
    """
    variants = variants_for([template_id], [customer_id], now)
    rows = variants.of.get(template_id, ())
    if not rows:
        return []
    texts = published_texts()
    fitting = {variant.pk for variant in variants.fitting(template_id, customer_id)}
    found: list[VariantVerdict] = []
    for variant in rows:
        text = texts.get(variant.instead_id)
        taken = any(verdict.chosen for verdict in found)
        chosen = False
        if variant.pk not in fitting:
            words = _("not in this segment")
        elif text is None or not text.text_channel(channel):
            words = _("in this segment, but the text is not written for this channel")
        elif taken:
            words = _("in this segment too, but an earlier one counts")
        else:
            words, chosen = _("in this segment: this is the text written"), True
        found.append(VariantVerdict(variant, chosen, words))
    return found


def variant_gaps(
    variant: TemplateVariant,
    general: PublishedText,
    texts: Mapping[int, PublishedText],
    channels: Collection[str],
) -> list[str]:
    """Why a variant is passed over, or what its readers lack, over these channels; empty: nothing is wrong. Pure."""
    named = {"segment": variant.segment, "template": variant.instead}
    text = texts.get(variant.instead_id)
    if text is None:
        words = _("“%(template)s” for %(segment)s has no published text and is passed over.")
        return [words % named]
    found = []
    spoken = [way for way in dict.fromkeys(channels) if way not in WORDLESS and general.text_channel(way)]
    if silent := [str(Channel(way).label) for way in spoken if not text.text_channel(way)]:
        words = _("“%(template)s” for %(segment)s has no text for %(channels)s and is passed over.")
        found.append(words % (named | {"channels": ", ".join(silent)}))
        return found
    names = dict(LANGUAGES)
    lacking = {
        str(names.get(code, code))
        for way in spoken
        for code in general.channels[general.text_channel(way)] - text.channels[text.text_channel(way)]
    }
    if lacking:
        words = _("“%(template)s” for %(segment)s is not written in %(languages)s.")
        found.append(words % (named | {"languages": ", ".join(sorted(lacking))}))
    return found


def variant_problems(template: Template) -> dict[int, list[str]]:
    """What is wrong with each variant of a template, by its id; those without fault are left out. Three queries."""
    rows = variants_of([template.pk]).get(template.pk, [])
    texts = published_texts() if rows else {}
    general = texts.get(template.pk)
    nested = set(
        TemplateVariant.objects.filter(template__in=[row.instead_id for row in rows]).values_list(
            "template", flat=True
        )
    )
    found: dict[int, list[str]] = {}
    for row in rows:
        problems = variant_gaps(row, general, texts, general.channels) if general is not None else []
        if row.instead_id in nested:
            words = _("“%(template)s” has variants of its own, which are not looked at from here.")
            problems.append(words % {"template": row.instead})
        try:
            parse(row.segment.query)
        except SegmentError as error:
            problems.append(f"{row.segment}: {error.message}")
        if problems:
            found[row.pk] = problems
    return found
