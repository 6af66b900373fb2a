"""Owns what counts as “leave me alone” and “write to me again” in a reply, in the six languages. Pure.

Matched carefully: the whole reply, or its first line, must say it and nothing else. “Stop charging my card” and
“Cancel my subscription” are requests for a person, not refusals of our messages.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from customers.models import Channel


class Wish(StrEnum):
    """What a reply asks for."""

    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Opt:
    """An opt-out or opt-in found in a reply."""

    wish: Wish
    #: The words that decided, in their plain spelling (“ne me contactez plus”).
    keyword: str
    #: Language the words belong to; `en` for those every language uses (STOP).
    language: str


#: Stop words of every channel. Spelled without accents, apostrophes and punctuation: replies are read that way.
_OUT = {
    "en": (
        "stop", "stopall", "stop all", "stop sms", "stop texts", "stop messages", "unsubscribe",
        "unsubscribe me", "opt out", "optout", "opt me out", "revoke",
        "revoke consent", "i revoke my consent", "i withdraw my consent", "remove me", "remove me from your list",
        "remove me from this list", "remove me from your mailing list", "take me off your list",
        "take me off this list", "do not contact me", "dont contact me", "do not contact me again",
        "dont contact me again", "stop contacting me", "stop messaging me", "stop texting me", "stop emailing me",
        "stop e mailing me", "stop writing to me", "stop sending me messages", "stop sending me emails",
        "no more messages", "no more texts", "no more emails", "no more e mails", "leave me alone",
        "i want to unsubscribe", "i would like to unsubscribe",
    ),
    "it": (
        "basta", "disiscrivimi", "disiscrivetemi", "disiscrizione", "disiscrivi", "annulla iscrizione",
        "cancella iscrizione", "cancellami", "cancellatemi", "cancellami dalla lista", "cancellatemi dalla lista",
        "rimuovimi", "rimuovetemi", "rimuovimi dalla lista", "rimuovetemi dalla lista", "non contattatemi",
        "non contattatemi piu", "non contattarmi", "non contattarmi piu", "non scrivetemi", "non scrivetemi piu",
        "non scrivermi piu", "non voglio piu ricevere messaggi", "non voglio piu ricevere email",
        "non voglio piu essere contattato", "non voglio piu essere contattata", "basta messaggi", "basta email",
        "basta sms", "revoco il consenso", "revoco il mio consenso", "revoca consenso",
    ),
    "fr": (
        "arret", "arret sms", "arretez", "arreter", "desabonner", "desabonnement", "desabonnez moi", "me desabonner",
        "desinscription", "desinscrire", "desinscrivez moi", "me desinscrire", "retirez moi de votre liste",
        "retirez moi de la liste", "ne me contactez plus", "ne plus me contacter", "ne mecrivez plus",
        "ne m ecrivez plus", "arretez de mecrire", "arretez de m ecrire", "arretez de me contacter",
        "plus de messages", "plus de sms", "plus de mails", "plus demails", "je ne veux plus recevoir de messages",
        "je retire mon consentement", "je revoque mon consentement",
    ),
    "pl": (
        "wypisz", "wypisz mnie", "wypiszcie mnie", "wypisz mnie z listy", "wypisuje sie", "usun mnie",
        "usuncie mnie", "usun mnie z listy", "nie kontaktujcie sie ze mna", "nie kontaktuj sie ze mna",
        "prosze nie kontaktowac sie ze mna", "nie kontaktowac sie ze mna", "nie piszcie do mnie",
        "nie pisz do mnie", "nie wysylajcie mi wiadomosci", "koniec wiadomosci", "cofam zgode", "wycofuje zgode",
        "odwoluje zgode",
    ),
    "de": (
        "stopp", "abmelden", "abmeldung", "abbestellen", "abbestellung", "austragen", "tragen sie mich aus",
        "melden sie mich ab", "keine nachrichten mehr", "keine sms mehr", "keine mails mehr", "keine emails mehr",
        "keine e mails mehr", "keine weiteren nachrichten", "keine weiteren e mails", "nicht mehr kontaktieren",
        "kontaktieren sie mich nicht mehr", "kontaktiert mich nicht mehr", "schreiben sie mir nicht mehr",
        "nicht mehr anschreiben", "nicht mehr schreiben", "ich widerrufe meine einwilligung",
        "einwilligung widerrufen", "widerruf der einwilligung", "lassen sie mich in ruhe",
    ),
    "es": (
        "baja", "darme de baja", "deme de baja", "denme de baja", "dar de baja", "quiero darme de baja",
        "solicito la baja", "no me contacten", "no me contacten mas", "no me contacte mas", "no contactar",
        "no me escriban", "no me escriban mas", "dejen de escribirme", "dejen de contactarme", "no mas mensajes",
        "no mas sms", "no mas correos", "no mas emails", "quitarme de la lista", "quitenme de la lista",
        "borrenme de la lista", "revoco mi consentimiento", "retiro mi consentimiento",
    ),
}  # fmt: skip
#: Over SMS and WhatsApp these alone are stop words too (carriers and 47 CFR 64.1200(a)(10) demand the English
#: ones). In a mail they rather mean the subscription, so a person reads them there.
_OUT_BY_TEXT = {
    "en": ("cancel", "end", "quit"),
    "it": ("annulla", "cancella", "revoca"),
    "fr": ("fin", "annuler", "resilier"),
    "pl": ("koniec", "anuluj", "rezygnuje", "rezygnacja"),
    "de": ("ende", "beenden", "widerruf"),
    "es": ("alto", "parar", "cancelar"),
}
#: Only over SMS and WhatsApp. “Yes” is left out: it answers questions as well.
_IN_BY_TEXT = {
    "en": ("start", "unstop", "subscribe", "resume", "start again", "opt in", "optin"),
    "it": ("riprendi", "riprendete", "riattiva", "inizia", "iscrivimi"),
    "fr": ("reprendre", "reprenez", "reactiver", "commencer", "abonner"),
    "pl": ("wznow", "wznowcie", "zapisz mnie"),
    "de": ("fortsetzen", "wieder anmelden", "anmelden"),
    "es": ("alta", "reanudar", "reactivar", "iniciar", "empezar"),
}
#: Said along with it, meaning nothing more.
_COURTESY = frozenset({
    "please", "pls", "plz", "kindly", "now", "immediately", "thanks", "thank", "you", "favore", "per", "cortesia",
    "grazie", "subito", "adesso", "merci", "svp", "stp", "maintenant", "immediatement", "prosze", "dziekuje",
    "dzieki", "natychmiast", "teraz", "bitte", "danke", "sofort", "jetzt", "vielen", "dank", "por", "favor",
    "gracias", "ahora", "ya",
})  # fmt: skip
_PHRASES_OF_COURTESY = re.compile(
    r"\b(?:thank you|s il vous plait|sil vous plait|s il te plait|per favore|por favor)\b"
)
_GREETING = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|ciao|salve|buongiorno|buonasera|gentil[ei]|"
    r"egregi[oa]?|spett(?:abile|le)|bonjour|bonsoir|salut|cher|chere|madame|monsieur|dzien dobry|czesc|witam|"
    r"szanown[aiey]|hallo|guten (?:tag|morgen|abend)|moin|sehr geehrte[rs]?|lieber?|hola|buen[oa]s (?:dias|tardes|"
    r"noches)|estimad[oa]s?)(?: \w+){0,5}"
)
#: Where the quoted mail or the signature begins; tested line by line. Strangers write these lines: every repetition
#: is followed by what it cannot match itself, or has an end, or one long line would hold up the process for minutes.
_QUOTE = re.compile(
    r"^\s*(?:>|\|)|^\s*-{2,}\s*$|^\s*_{5,}\s*$|^--.*(?:original|urspr|oryginal|originale|d'origine|reply above)|"
    r"^\s*(?:on|le|il|am|el|w dniu|dnia|wt|pon|śr|czw|pt|sob|niedz)\b.{0,200}"
    r"(?:wrote|a écrit|ha scritto|schrieb|escribió|napisał|pisze)\b.{0,80}:?\s*$|"
    r"^\s*\*?(?:from|da|de|von|od|expéditeur)\s*:\*?\s*\S",
    re.IGNORECASE,
)
_WROTE = re.compile(r"(?:wrote|a écrit|ha scritto|schrieb[^:]{0,200}|escribió|napisał\(?a?\)?)\s*:\s*$", re.IGNORECASE)
#: Longer replies are letters: a person reads them.
_MOST_WORDS = 12
_TEXTS = frozenset({Channel.SMS.value, Channel.WHATSAPP.value})


def parse_opt_out(text: str, channel: str) -> Opt | None:
    """What a customer's reply on `channel` asks for: to be left alone, to be written to again, or neither.

    Over SMS and WhatsApp the whole reply or its first line must say it. Of an e-mail only what stands above the
    quoted mail and the signature counts, a greeting apart; opting in again is not done by e-mail.
    """
    by_text = channel in _TEXTS
    if not by_text and channel != Channel.EMAIL:
        return None
    body = text if by_text else above_quote(text)
    lines = [line for line in map(_plain, body.splitlines()) if line]
    if not by_text and len(lines) > 1 and _GREETING.fullmatch(lines[0]):
        lines = lines[1:]
    if not lines:
        return None
    tables = _BY_TEXT if by_text else _BY_MAIL
    for candidate in (lines[0], " ".join(lines)):
        for spelled in (candidate, _without_courtesy(candidate)):
            if spelled in tables and len(candidate.split()) <= _MOST_WORDS:
                return tables[spelled]
    return None


def above_quote(text: str) -> str:
    """The part of a mail its author wrote: all lines above the quoted mail, the signature or a copied header."""
    own: list[str] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        # Long “On … wrote:” lines are broken in two by mail programs.
        two = f"{line} {lines[number + 1]}" if number + 1 < len(lines) else line
        if _QUOTE.search(line) or _WROTE.search(line) or (line.strip() and _QUOTE.search(two) and _WROTE.search(two)):
            break
        own.append(line)
    return "\n".join(own)


def _plain(line: str) -> str:
    """Lower case, without accents and punctuation, words one space apart."""
    folded = line.casefold().replace("ł", "l").replace("'", "").replace("’", "")
    bare = "".join(char for char in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(char))
    return " ".join(re.sub(r"[^\w]|_", " ", bare).split())


def _without_courtesy(words: str) -> str:
    return " ".join(word for word in _PHRASES_OF_COURTESY.sub(" ", words).split() if word not in _COURTESY)


def _table(*parts: tuple[Wish, dict[str, tuple[str, ...]]]) -> dict[str, Opt]:
    found: dict[str, Opt] = {}
    for wish, languages in parts:
        for language, phrases in languages.items():
            for phrase in phrases:
                found.setdefault(phrase, Opt(wish, phrase, language))
    return found


_BY_MAIL = _table((Wish.OUT, _OUT))
_BY_TEXT = _table((Wish.OUT, _OUT), (Wish.OUT, _OUT_BY_TEXT), (Wish.IN, _IN_BY_TEXT))
