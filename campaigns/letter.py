"""Owns the words of one message: its template in the right language, filled in with its facts."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from billing.fees import Sum, fees_sum, late_payment_law
from billing.models import Invoice, PaymentMethod
from billing.money import totals
from billing.retries.declines import classify
from campaigns.context import Sending, since
from campaigns.guard.zones import zone
from campaigns.links import MailLinks
from campaigns.models import Message, MessagePurpose, TemplateText
from campaigns.models.template import TEXT_OF
from campaigns.rendering import variables
from campaigns.rendering.paragraphs import own_source
from campaigns.rendering.reasons import decline_told
from campaigns.rendering.render import EMAIL, CompiledTemplate, Rendered, compile_template, render
from customers.errors import SollecitoError
from customers.models import Channel

#: Compiled texts by template version: published versions never change, so neither does what is kept here.
#: Bounded, because a process lives long; a version holds one text per channel and language.
_KEPT_VERSIONS = 500
_texts: dict[int, dict[str, dict[str, CompiledTemplate]]] = {}


def prepare(version_ids: set[int]) -> None:
    """Reads the texts of the versions this process has not seen yet, in one query or none."""
    missing = version_ids - _texts.keys()
    if not missing:
        return
    if len(_texts) > _KEPT_VERSIONS:
        _texts.clear()
        missing = version_ids
    found: dict[int, dict[str, dict[str, CompiledTemplate]]] = {pk: {} for pk in missing}
    for text in TemplateText.objects.filter(version_id__in=missing):
        compiled = CompiledTemplate(text.subject, text.compiled_html, text.compiled_text)
        found[text.version_id].setdefault(text.channel, {})[text.language] = compiled
    _texts.update({pk: texts for pk, texts in found.items() if texts})


def write(sending: Sending, links: MailLinks, now: datetime) -> tuple[Rendered, str]:
    """The finished message with the customer's real links, and the language it is in.

    `prepare` must have been called for its template version. Raises SollecitoError (TemplateRefused for a value
    the template needs and this message lacks).
    """
    message = sending.message
    by_channel = _texts.get(message.template_version_id, {})
    kinds = (message.channel, *TEXT_OF.get(message.channel, ()))
    texts = next((by_channel[kind] for kind in kinds if kind in by_channel), {})
    order = (message.language, message.language.split("-")[0], message.brand.default_language, "en", *sorted(texts))
    language = next((code for code in order if code in texts), None)
    if language is None:
        raise SollecitoError("The template has no text.", code="template_without_text")
    compiled = _own_words(message, texts[language], language)
    return render(compiled, mail_context(sending, links, now, language), channel=message.channel), language


def _own_words(message: Message, texts: CompiledTemplate, language: str) -> CompiledTemplate:
    """What a person wrote in place of the template's words; the template's where they left them as they are."""
    if not (message.own_subject or message.own_text):
        return texts
    subject = message.own_subject or texts.subject
    if not message.own_text:
        return CompiledTemplate(subject, texts.html, texts.text)
    mail = message.channel in (Channel.EMAIL, Channel.LETTER)
    source = own_source(message.own_text) if mail else message.own_text
    return compile_template(
        subject=subject, mjml=source, language=language, channel=EMAIL if mail else message.channel
    )


def mail_context(sending: Sending, links: MailLinks, now: datetime, language: str) -> variables.MailContext:
    """All a template may use, for one message; see campaigns.rendering.variables for the meaning of each."""
    message = sending.message
    customer, brand, case = message.customer, message.brand, message.case
    local = zone(sending.snapshot.zone)
    invoices = [_invoice(row, links, local, now, language) for row in sending.invoices]
    oldest = sending.invoices[0] if sending.invoices else None
    receipt = message.purpose == MessagePurpose.RECEIPT
    sums = totals((row.amount_due if receipt else row.balance, row.currency) for row in sending.invoices)
    fees = fees_sum(sending.fees)
    owed = [] if receipt else [(amount, currency) for currency, amount in sums.items()]
    with_fees = totals([*owed, *((each.kept, each.currency) for each in fees if each.kept)])
    # The newest refusal is the one to act on, whichever invoice it was.
    declined = next((row for row in reversed(sending.invoices) if row.last_decline_category), None)
    return {
        "language": language,
        "customer": {
            "name": customer.name or (message.contact.name if message.contact else "") or customer.email,
            "first_name": _first_name(sending),
            "contact_name": _contact_name(sending),
            "kind": customer.kind,
            "language": customer.language,
            "country": customer.country,
            "late_payment_law": late_payment_law(country=customer.country, kind=customer.kind),
        },
        "brand": {
            "name": brand.name,
            "support_email": brand.support_email or brand.reply_to or brand.from_email,
            "support_url": brand.support_url,
            "address": " ".join(brand.postal_address.split()),
            "color": brand.color,
            "logo_url": brand.logo_url if brand.logo_url.startswith("https://") else "",
        },
        "sender": {"name": brand.from_name or brand.name, "email": brand.from_email},
        "invoices": invoices,
        "balances": [{"amount": amount, "currency": currency} for currency, amount in sums.items()],
        "fees": [_fees(each) for each in fees],
        "totals": [{"amount": amount, "currency": currency} for currency, amount in with_fees.items()],
        "oldest_invoice": invoices[0] if invoices else None,
        "decline": _decline(declined, language) if declined is not None and not receipt else None,
        "card": _card(sending, oldest),
        "subscription": _subscription(sending, oldest),
        "promise": _promise(sending),
        "instalments": _instalments(sending, links),
        "owner": {"name": case.owner.get_full_name(), "email": case.owner.email}
        if case.owner and case.owner.get_full_name()
        else None,
        "payment": _payment(sending, local, now) if receipt else None,
        "links": {
            "portal": links.portal,
            "pay": links.pay,
            "update_card": links.update_card,
            "preferences": links.preferences,
            "unsubscribe": links.unsubscribe,
        },
        "case": {
            "step_number": message.step_run.step.position if message.step_run else 1,
            "days_overdue": max((now - case.anchor_at).days, 0),
            "started_on": _day(case.opened_at, local),
            "next_retry_on": _day(sending.next_retry_at, local) if sending.next_retry_at else None,
        },
    }


def _invoice(row: Invoice, links: MailLinks, local: ZoneInfo, now: datetime, language: str) -> variables.Invoice:
    start = since(row)
    return {
        "number": row.number or row.external_id or str(row.pk),
        "amount": row.amount_due,
        "balance": row.balance,
        "currency": row.currency,
        "due_on": _day(row.due_at, local) if row.due_at else None,
        "failed_on": _day(row.first_failed_at, local) if row.first_failed_at else None,
        "days_overdue": max((now - start).days, 0) if start else 0,
        "description": row.description,
        "pay_url": links.pay_invoice(row.pk) if links.pay_invoice else links.pay,
        "pdf_url": row.pdf_url,
        "decline_reason": _decline(row, language)["message"] if row.last_decline_category else "",
    }


def _fees(owed: Sum) -> variables.Fees:
    return {
        "currency": owed.currency,
        "interest": owed.interest,
        "fixed_sum": owed.fixed_sum,
        "amount": owed.amount,
        "waived": owed.forgiven,
        "law": owed.law,
    }


def _decline(row: Invoice, language: str) -> variables.Decline:
    verdict = classify(decline_code=row.last_decline_code)
    return decline_told(verdict=verdict, category=row.last_decline_category, language=language)


def _first_name(sending: Sending) -> str:
    """What to greet with: the contact's first name, or a consumer's own. Companies have none."""
    name = _contact_name(sending)
    return name.split()[0] if name else ""


def _contact_name(sending: Sending) -> str:
    contact, customer = sending.message.contact, sending.message.customer
    name = contact.name if contact and contact.name != customer.name else ""
    if not name and customer.kind == "consumer":
        name = customer.name
    return " ".join(name.split())


def _card(sending: Sending, oldest: Invoice | None) -> variables.Card | None:
    about = sending.message.case.payment_method_id or (oldest.default_payment_method_id if oldest else None)
    own = sending.cards.get(about or 0)
    card: PaymentMethod | None = own or sending.default_card
    if card is None or not (card.last4 and card.exp_month and card.exp_year):
        return None
    return {
        "brand": card.brand.replace("_", " ").title(),
        "last4": card.last4,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "expiry": f"{card.exp_month:02}/{card.exp_year}",
    }


def _subscription(sending: Sending, oldest: Invoice | None) -> variables.Subscription | None:
    row = sending.message.case.subscription or (oldest.subscription if oldest else None)
    if row is None or not row.plan_name:
        return None
    # When it ends is the ladder's end, which may yet move; nothing is promised here.
    return {"plan_name": row.plan_name, "ends_on": None}


def _promise(sending: Sending) -> variables.Promise | None:
    promise = sending.broken_promise
    if promise is None:
        return None
    return {"amount": promise.amount, "currency": promise.currency, "due_on": promise.promised_on}


def _instalments(sending: Sending, links: MailLinks) -> variables.Instalments | None:
    suggested = sending.parts.suggested if sending.parts is not None else None
    if sending.parts is None or suggested is None:
        return None
    return {
        "count": suggested.count,
        "amount": suggested.parts[0].amount,
        "currency": sending.parts.currency,
        "url": links.parts,
    }


def _payment(sending: Sending, local: ZoneInfo, now: datetime) -> variables.Payment | None:
    paid = [row for row in sending.invoices if row.amount_paid]
    if not paid:
        return None
    last = max(paid, key=lambda row: row.paid_at or now)
    same = [row for row in paid if row.currency == last.currency]
    return {
        "amount": sum(row.amount_paid for row in same),
        "currency": last.currency,
        "paid_on": _day(last.paid_at or now, local),
    }


def _day(moment: datetime, local: ZoneInfo) -> date:
    return moment.astimezone(local).date()
