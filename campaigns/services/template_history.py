"""Earlier versions of a template: what changed between two, and bringing one back as a draft."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import TemplateText, TemplateVersion
from campaigns.services.versions import draft_of_texts
from customers.errors import SollecitoError
from customers.models import Brand

#: (channel, language)
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TextDiff:
    """The changed parts of one text: `parts` are a part's name and its lines, each with its sign (+, -, blank)."""

    channel: str
    language: str
    #: `added`, `removed` or `changed`.
    kind: str
    parts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def texts_diff(old: Mapping[Place, TemplateText], new: Mapping[Place, TemplateText]) -> list[TextDiff]:
    """What differs between the texts of two versions, by channel and language; what is the same is left out. Pure."""
    found = []
    for place in sorted(old.keys() | new.keys()):
        before, after = old.get(place), new.get(place)
        parts = []
        for part in ("subject", "body", "text"):
            a, b = getattr(before, part, ""), getattr(after, part, "")
            if a.rstrip() != b.rstrip():
                lines = unified_diff(a.splitlines(), b.splitlines(), lineterm="", n=2)
                # The first two name files; @@ lines say where, which the eye does not need here.
                kept = [(line[:1], line[1:]) for number, line in enumerate(lines) if number > 1]
                parts.append((part, tuple(("…", "") if sign == "@" else (sign, words) for sign, words in kept)))
        if parts:
            kind = "changed" if before and after else "added" if after else "removed"
            found.append(TextDiff(*place, kind, tuple(parts)))
    return found


def texts_of(version: TemplateVersion | None) -> dict[Place, TemplateText]:
    """A version's texts by channel and language; none for no version. One query."""
    return {(text.channel, text.language): text for text in version.texts.all()} if version else {}


@transaction.atomic
def template_restore(*, version_id: int) -> TemplateVersion:
    """A draft with the texts of an earlier version. Raises SollecitoError where a draft is under way already."""
    source = TemplateVersion.objects.filter(pk=version_id).first()
    if source is None:
        raise SollecitoError(_("There is no such version."), code="version_missing")
    versions = TemplateVersion.objects.select_for_update().filter(template_id=source.template_id)
    if any(version.status == TemplateVersion.Status.DRAFT for version in versions):
        raise SollecitoError(_("There is a draft already; publish or delete it first."), code="draft_exists")
    return draft_of_texts(template_id=source.template_id, texts=source.texts.all())


def missing_languages(version: TemplateVersion) -> list[Place]:
    """Languages a draft lacks: those its published version speaks over a channel, and the brands' own.

    A reader whose language is missing gets another one, which is better than nothing and worse than theirs.
    """
    there = set(version.texts.values_list("channel", "language"))
    live = TemplateText.objects.filter(
        version__template=version.template_id, version__status=TemplateVersion.Status.PUBLISHED
    )
    wanted = set(live.values_list("channel", "language"))
    spoken = set(Brand.objects.values_list("default_language", flat=True))
    wanted |= {(channel, language) for channel in {channel for channel, _language in there} for language in spoken}
    return sorted(wanted - there)
