"""Owns the words a message must carry by the contact rules: adds what its template does not say by itself. Pure.

A template that says it in its own words is left alone, so that shipped and managers' texts may be kinder than these.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from customers.models import Channel

#: Short, because a text message is billed by parts.
_STOP = {
    "en": "Reply STOP to opt out",
    "it": "STOP per disdire",
    "fr": "Arrêt : STOP",
    "pl": "Rezygnacja: STOP",
    "de": "Abmelden: STOP",
    "es": "Baja: STOP",
}
_OPT_OUT = {
    "en": "If you want no more of these e-mails:",
    "it": "Se non vuole più ricevere queste e-mail:",
    "fr": "Pour ne plus recevoir ces e-mails :",
    "pl": "Jeśli nie chcesz dostawać tych e-maili:",
    "de": "Wenn Sie diese E-Mails nicht mehr möchten:",
    "es": "Si no quiere recibir más estos correos:",
}
#: 12 CFR 1006.18(e): both sentences in every message satisfy the rule for the first and for all later ones. English
#: goes along: the rule asks for it beside the language of the message.
_COLLECTOR = {
    "en": "This communication is from a debt collector. This is an attempt to collect a debt and any information "
    "obtained will be used for that purpose.",
    "it": "Questa comunicazione proviene da un'agenzia di recupero crediti. È un tentativo di riscuotere un debito e "
    "le informazioni ottenute saranno usate a questo scopo.",
    "fr": "Cette communication provient d'une agence de recouvrement. Il s'agit d'une tentative de recouvrement d'une "
    "dette et toute information obtenue sera utilisée à cette fin.",
    "pl": "Ta wiadomość pochodzi od firmy windykacyjnej. Jest to próba odzyskania długu, a uzyskane informacje "
    "zostaną wykorzystane w tym celu.",
    "de": "Diese Nachricht kommt von einem Inkassounternehmen. Sie dient der Einziehung einer Forderung; erhaltene "
    "Angaben werden dafür verwendet.",
    "es": "Esta comunicación proviene de un cobrador de deudas. Es un intento de cobrar una deuda y toda información "
    "obtenida se utilizará para ese fin.",
}
_STOP_WORD = re.compile(r"\bSTOP\b")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes, and where the reader may refuse more."""

    name: str
    postal_address: str = ""
    ways_out: tuple[str, ...] = ()


def missing(required: Sequence[str], text: str, channel: str, sender: Sender, language: str) -> list[str]:
    """The lines a message of that `text` still has to carry, in its language, in the order of `required`."""
    short = language.split("-")[0].lower()
    plain = _plain(text)
    found = []
    for code in required:
        if code == "sender_name" and sender.name and _plain(sender.name) not in plain:
            found.append(sender.name)
        elif code == "postal_address" and sender.postal_address and _plain(sender.postal_address) not in plain:
            found.append(" ".join(sender.postal_address.split()))
        elif code == "opt_out_notice" and (line := _way_out(text, channel, sender, short)):
            found.append(line)
        elif code == "collector_notice":
            wanted = dict.fromkeys((_COLLECTOR["en"], _COLLECTOR.get(short, _COLLECTOR["en"])))
            found += [line for line in wanted if _plain(line) not in plain]
    return found


def _way_out(text: str, channel: str, sender: Sender, language: str) -> str:
    if channel in (Channel.SMS, Channel.WHATSAPP):
        return "" if _STOP_WORD.search(text) else _STOP.get(language, _STOP["en"])
    if channel != Channel.EMAIL or not sender.ways_out or any(way in text for way in sender.ways_out):
        return ""
    return f"{_OPT_OUT.get(language, _OPT_OUT['en'])} {sender.ways_out[0]}"


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def add_to_text(text: str, lines: Sequence[str]) -> str:
    """The plain text with those lines at its end."""
    return "\n".join([text.rstrip(), "", *lines]) if lines else text


def add_to_html(html: str, lines: Sequence[str], ways_out: Sequence[str]) -> str:
    """The HTML with those lines as its last paragraph; a way out in them becomes a link."""
    if not lines or not html:
        return html
    told = "<br>".join(escape(line) for line in lines)
    for way in ways_out:
        told = told.replace(escape(way), f'<a href="{escape(way)}">{escape(way)}</a>')
    style = "font:12px/18px sans-serif;color:#6b7280;text-align:center;padding:0 24px 24px"
    added = f'<p style="{style}">{told}</p>'
    head, body, tail = html.rpartition("</body>")
    return f"{head}{added}{body}{tail}" if body else html + added
