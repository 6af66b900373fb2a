"""A text as a customer would read it: with the facts of a real case, or with examples; nothing is sent or kept."""

from datetime import datetime
from uuid import uuid4

from django.conf import settings
from django.utils.translation import gettext as _

from campaigns.channels.base import Outgoing
from campaigns.channels.email import EmailChannel
from campaigns.context import sendings
from campaigns.letter import mail_context
from campaigns.links import MailLinks
from campaigns.models import Case, Message, TemplateText, TemplateVersion
from campaigns.rendering.examples import example_context
from campaigns.rendering.render import EMAIL, Rendered, compile_template, render
from campaigns.rendering.variables import MailContext
from customers.errors import SollecitoError
from customers.models import Contact, Customer


def _example_links() -> MailLinks:
    page = f"{settings.BASE_URL}/p/example"
    return MailLinks(
        portal=page,
        pay=page,
        parts=page,
        update_card=page,
        preferences=page,
        unsubscribe=page,
        redact=lambda text: text,
    )


def case_context(*, case_id: int, channel: str, language: str, now: datetime) -> MailContext:
    """What a message of this template to this case would be filled in with at `now` (aware UTC).

    The way of a real message, links apart, which is not saved. Raises SollecitoError if there is no such case.
    """
    case = (
        Case.objects.select_related("customer", "brand", "ladder_version", "owner", "subscription")
        .filter(pk=case_id)
        .first()
    )
    if case is None:
        raise SollecitoError(_("There is no such case."), code="case_missing")
    message = Message(
        customer=case.customer,
        brand=case.brand,
        case=case,
        channel=channel,
        language=language,
        recipient=case.customer.email or case.customer.phone,
        queued_at=now,
        send_at=now,
    )
    return mail_context(sendings([message], now)[0], _example_links(), now, language)


def text_preview(
    *,
    version_id: int,
    language: str,
    channel: str,
    subject: str,
    body: str,
    text: str,
    case_id: int | None,
    now: datetime,
) -> Rendered:
    """A text compiled and filled in. Raises TemplateRefused with what is wrong, SollecitoError without the case."""
    compiled = compile_template(subject=subject, mjml=body, text=text or None, language=language, channel=channel)
    if case_id is None:
        context = example_context(language)
    else:
        context = case_context(case_id=case_id, channel=channel, language=language, now=now)
    return render(compiled, context, channel=channel)


def send_test(*, version_id: int, language: str, recipient: str, case_id: int | None, now: datetime) -> None:
    """Sends an e-mail version to a colleague, marked as a test; no message is kept and no customer is written to.

    Raises SollecitoError without such a text or for an address of a customer, TemplateRefused for one that does not
    render, ChannelError if the mail server refuses it.
    """
    if _of_a_customer(recipient):
        # The guard is not asked about tests: what reaches a customer goes by their case.
        raise SollecitoError(_("This is a customer's address; a test goes to a colleague."), code="customer_address")
    version = TemplateVersion.objects.filter(pk=version_id).first()
    text = TemplateText.objects.filter(version=version, language=language, channel=EMAIL).first()
    if version is None or text is None:
        raise SollecitoError(_("There is no e-mail text in this language."), code="text_missing")
    shown = text_preview(
        version_id=version_id, language=language, channel=EMAIL, subject=text.subject, body=text.body,
        text=text.text, case_id=case_id, now=now,
    )  # fmt: skip
    brand = Case.objects.select_related("brand").get(pk=case_id).brand if case_id is not None else None
    with EmailChannel() as channel:
        channel.send(
            Outgoing(
                message_id=0,
                key=f"test:{uuid4()}",
                recipient=recipient,
                recipient_name="",
                from_email=brand.from_email if brand else settings.DEFAULT_FROM_EMAIL,
                from_name=brand.from_name if brand else "",
                reply_to="",
                subject=_("[Test] %(subject)s") % {"subject": shown.subject},
                text=shown.text,
                html=shown.html,
                language=language,
                at=now,
                tags=("test",),
            )
        )


def _of_a_customer(address: str) -> bool:
    own = Customer.objects.filter(email__iexact=address)
    return own.exists() or Contact.objects.filter(email__iexact=address).exists()
