"""Owns telling people from machines: what an incoming mail's headers and subject say about who wrote it. Pure.

RFC 3834 and what mail systems really write. When in doubt it is a person: an automatic reply read by staff costs a
minute, a customer's letter that nobody reads costs the customer.
"""

import re
from collections.abc import Mapping

from campaigns.models.inbound import InboundKind

#: Header → values that betray a machine; None: its presence does.
_HEADERS: Mapping[str, re.Pattern[str] | None] = {
    "auto-submitted": re.compile(r"^(?!\s*no\b)"),
    "precedence": re.compile(r"^\s*(bulk|junk|list|auto[-_]reply)\b", re.IGNORECASE),
    "x-auto-response-suppress": re.compile(r"\b(all|oof|autoreply|dr|rn|nrn)\b", re.IGNORECASE),
    "x-autoreply": re.compile(r"^(?!\s*(no|false)\b)", re.IGNORECASE),
    "x-autorespond": None,
    "x-autoresponder": None,
    "x-auto-reply-from": None,
    "x-mail-autoreply": None,
    "x-precedence": re.compile(r"^\s*(bulk|junk|auto[-_]reply)\b", re.IGNORECASE),
    "x-ms-exchange-inbox-rules-loop": None,
    "list-id": None,
    "feedback-id": None,
    # Our own mail, come back by a loop.
    "x-sollecito-message": None,
}
#: Subjects that say “I am away”, in the six languages; before a colon, or as the whole.
_AWAY = re.compile(
    r"out[- ]of[- ](?:the[- ])?office|\booo\b|on (?:annual |parental |sick )?leave|away from (?:the office|my desk)"
    r"|on (?:vacation|holiday)|vacation (?:reply|response|notice)"
    r"|abwesenheit|abwesend|außer haus|ausser haus|nicht im (?:büro|buero|hause)|im urlaub"
    r"|absen(?:ce|t)\b|hors du bureau|en (?:congés?|vacances)"
    r"|fuori (?:sede|ufficio)|assenza|assente\b|in ferie|messaggio di assenza"
    r"|poza biurem|nieobecno|na urlopie|urlop\b"
    r"|fuera de (?:la )?oficina|ausen(?:cia|te)\b|de vacaciones",
    re.IGNORECASE,
)
#: Subjects of automatic answers; only at the beginning, where programs put them.
_AUTOMATIC = re.compile(
    r"^\s*(?:\[[^\]]*\]\s*)?(?:"
    r"auto(?:matic|mated|matische|matyczna)?[-: ]*(?:reply|response|answer|antwort|odpowied[zź]\w*)"
    r"|auto(?:reply|response|risposta|respuesta|odpowied[zź])"
    r"|risposta automatica|réponse automatique|reponse automatique|respuesta autom[aá]tica"
    r"|odpowied[zź] automatyczna|automatische (?:antwort|beantwortung)"
    r"|we (?:have )?received your (?:message|request|email)|(?:request|ticket|case) received"
    r"|(?:request|ticket|case) #?\d+ (?:received|created)"
    r")",
    re.IGNORECASE,
)
_REPORT_SUBJECT = re.compile(
    r"undeliver|delivery status notification|mail delivery (?:failed|failure|subsystem)|returned mail"
    r"|failure notice|unzustellbar|nicht zustellbar|mancato recapito|non recapitabile|échec de (?:la )?remise"
    r"|non remis|niedostarczon|nie można dostarczyć|no se (?:ha )?(?:podido|pudo) entregar|no entregado",
    re.IGNORECASE,
)
_DAEMON = re.compile(r"^(?:mailer-daemon|postmaster|mail-daemon|mdaemon)@", re.IGNORECASE)


def classify(*, headers: Mapping[str, str], subject: str, sender: str, null_sender: bool = False) -> InboundKind:
    """What a mail is: by a person, automatic, out of office, or a delivery report.

    `headers` by lower-case name; `null_sender` says that its envelope names no sender (RFC 5321: do not answer).
    """
    content_type = headers.get("content-type", "").lower()
    if "multipart/report" in content_type and "delivery-status" in content_type:
        return InboundKind.BOUNCE
    if _DAEMON.match(sender) and (null_sender or _REPORT_SUBJECT.search(subject)):
        return InboundKind.BOUNCE
    automatic = null_sender or any(
        name in headers and (pattern is None or pattern.search(headers[name])) for name, pattern in _HEADERS.items()
    )
    if automatic:
        return InboundKind.OUT_OF_OFFICE if _AWAY.search(subject) else InboundKind.AUTO_REPLY
    # Without any header: only what a program would put in front, and no “Re:” of a person before it.
    if _AUTOMATIC.match(subject):
        return InboundKind.OUT_OF_OFFICE if _AWAY.search(subject) else InboundKind.AUTO_REPLY
    if not re.match(r"\s*(?:re|aw|r|rif|odp|sv|antw)\s*:", subject, re.IGNORECASE) and _AWAY.match(subject.strip()):
        return InboundKind.OUT_OF_OFFICE
    return InboundKind.HUMAN
