"""Words and habits by which mail filters and readers tell spam, looked for in subjects. Warnings only.

The words are those that recur in the published lists of mail providers and filters; a dunning mail has no need of
any of them.
"""

import re

from django.utils.translation import gettext as _

from .problems import Problem

#: Lower case; matched as whole words.
WORDS: dict[str, tuple[str, ...]] = {
    "en": ("urgent", "act now", "final warning", "last chance", "click here", "free", "guaranteed", "winner", "cash"),
    "it": ("urgente", "agisci subito", "ultima occasione", "clicca qui", "gratis", "garantito", "vincitore"),
    "fr": ("urgent", "agissez maintenant", "dernière chance", "cliquez ici", "gratuit", "garanti", "gagnant"),
    "pl": ("pilne", "działaj teraz", "ostatnia szansa", "kliknij tutaj", "za darmo", "gwarantowane", "wygrana"),
    "de": ("dringend", "jetzt handeln", "letzte chance", "hier klicken", "gratis", "garantiert", "gewinner"),
    "es": ("urgente", "actúa ya", "última oportunidad", "haz clic aquí", "gratis", "garantizado", "ganador"),
}
_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.S)
_CAPITALS = re.compile(r"\b[^\W\d_a-z]{4,}\b")


def subject_problems(subject: str, language: str) -> list[Problem]:
    """What in a subject looks like spam, as warnings; Liquid in it is not read."""
    plain = _LIQUID.sub(" ", subject)
    found = []
    for word in WORDS.get(language.partition("-")[0], ()):
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", plain.lower()):
            found.append(_("“%(word)s” in a subject looks like spam.") % {"word": word})
    if plain.count("!") > 1 or re.search(r"[!?]{2,}", plain):
        found.append(_("Several exclamation marks look like spam."))
    capitals = [word for word in _CAPITALS.findall(plain) if word == word.upper() and word != word.lower()]
    if len(capitals) > 1:
        found.append(_("Words in capitals look like spam."))
    return [Problem(1, 1, words, severity="warning", part="subject") for words in found]
