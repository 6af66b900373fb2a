"""Messages people write: from a template or in their own words, by the same outbox, guard and records as any other."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.channels.base import closed_channels
from campaigns.engine.load import Loaded, load_cases
from campaigns.guard.explain import Explanation, explain
from campaigns.models import Case, Message, MessageStatus, TemplateText, TemplateVersion
from campaigns.models.case import LIVE_STATES
from campaigns.models.template import TEXT_OF
from campaigns.preview import text_preview
from campaigns.rendering.paragraphs import own_source
from campaigns.rendering.render import Rendered
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Channel, Customer
from customers.wake import wake

#: What a person may send a message by; in-app notices and webhooks are for the product.
WRITTEN_BY = (Channel.EMAIL.value, Channel.SMS.value, Channel.WHATSAPP.value, Channel.LETTER.value)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is queued: whom it would go to, what the guard says, and how it would read.

    `why_not` says why it cannot be queued at all; empty where it can.
    """

    recipient: str
    language: str
    verdict: Explanation | None
    shown: Rendered | None
    why_not: str = ""


def message_draft(
    *, case_id: int, version_id: int, channel: str, language: str, now: datetime, subject: str = "", text: str = ""
) -> Draft:
    """What `message_write` would queue at `now` (aware UTC), filled in with the case's facts; writes nothing.

    `subject` and `text` (Liquid, as in templates) stand in place of the template's where given. Raises TemplateRefused
    where these words cannot be filled in.
    """
    loaded = _loaded(case_id, now)
    who = loaded.addressees.get(channel)
    verdict = explain(loaded.snapshot.guard, channel, now)
    words = _words(version_id, channel, language or (who.language if who else ""), loaded)
    if words is None:
        return Draft("", language, verdict, None, _("The template has no text for this channel."))
    shown = text_preview(
        version_id=version_id,
        language=words.language,
        channel=words.channel,
        subject=subject or words.subject,
        body=own_source(text) if text and words.channel == Channel.EMAIL else text or words.body,
        text="" if text else words.text,
        case_id=case_id,
        now=now,
    )
    why_not = closed_channels().get(channel, "") or (verdict.sentence if verdict.level == "stop" else "")
    return Draft(who.address if who else "", words.language, verdict, shown, why_not)


@transaction.atomic
def message_write(
    *,
    case_id: int,
    version_id: int,
    channel: str,
    actor_id: int,
    now: datetime,
    language: str = "",
    subject: str = "",
    text: str = "",
    key: str = "",
) -> Message:
    """Queues a message of a template, or a person's own words in its place, to a live case's customer.

    What the guard defers leaves when it allows it; what it forbids is refused here, and once more at the moment of
    sending. `key` is the form's: sent twice it makes one message. Raises SollecitoError: `case_closed`, `no_text`
    (the template has none for the channel), `guard` (forbidden), TemplateRefused for words that do not compile.
    """
    owner = Case.objects.filter(pk=case_id).values("customer_id")
    Customer.objects.select_for_update(no_key=True).filter(pk__in=owner).values_list("pk").first()
    case = Case.objects.filter(pk=case_id, state__in=LIVE_STATES).first()
    if case is None:
        raise SollecitoError(_("Only to a case that is alive can be written."), code="case_closed")
    message_key = f"written:{key}" if key else f"written:{case.pk}:{now.isoformat()}:{actor_id}"
    known = Message.objects.filter(key=message_key).first()
    if known is not None:
        return known
    draft = message_draft(
        case_id=case_id, version_id=version_id, channel=channel, language=language, now=now, subject=subject, text=text
    )
    if draft.shown is None:
        raise SollecitoError(draft.why_not, code="no_text")
    if draft.why_not:
        raise SollecitoError(draft.why_not, code="guard")
    loaded = _loaded(case_id, now)
    who = loaded.addressees[channel]
    later = draft.verdict.until if draft.verdict else None
    message = Message.objects.create(
        customer_id=case.customer_id,
        brand_id=case.brand_id,
        case=case,
        contact_id=who.contact_id,
        channel=channel,
        template_version_id=version_id,
        language=draft.language,
        recipient=who.address,
        key=message_key,
        status=MessageStatus.QUEUED,
        queued_at=now,
        send_at=later or now,
        actor_id=actor_id,
        own_subject=subject.strip()[:500],
        own_text=text.strip(),
    )
    words = (
        _("To be sent to %(recipient)s: “%(subject)s”") if draft.shown.subject else _("To be sent to %(recipient)s")
    )
    record(
        Entry(
            customer_id=case.customer_id,
            at=now,
            kind="message.written",
            summary=words % {"recipient": who.address, "subject": draft.shown.subject},
            channel=channel,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"message:{message.pk}",
            data={"case": case.pk, "own_words": bool(subject or text)},
        )
    )
    wake("campaigns.tasks.deliver_due")
    return message


def _loaded(case_id: int, now: datetime) -> Loaded:
    found = load_cases([case_id], now).cases
    if not found:
        raise SollecitoError(_("There is no such case."), code="case_missing")
    return found[0]


def _words(version_id: int, channel: str, language: str, loaded: Loaded) -> TemplateText | None:
    """The template's text for a channel, in the language asked for or the nearest there is."""
    kinds = (channel, *TEXT_OF.get(channel, ()))
    published = TemplateText.objects.filter(version_id=version_id, version__status=TemplateVersion.Status.PUBLISHED)
    texts = {(text.channel, text.language): text for text in published.filter(channel__in=kinds)}
    spoken = (language, language.split("-")[0], loaded.customer_language, loaded.brand_language, "en")
    for kind in kinds:
        for code in (*spoken, *sorted(code for of, code in texts if of == kind)):
            if (kind, code) in texts:
                return texts[kind, code]
    return None
