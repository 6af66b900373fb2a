"""The outbox: every message as it was sent, and what became of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.case import Case, StepRun
from campaigns.models.template import TemplateVersion
from customers.models import Brand, Channel, Contact, Customer


class MessageStatus(models.TextChoices):
    QUEUED = "queued", _("Queued")
    SENDING = "sending", _("Sending")
    TO_PRINT = "to_print", _("To be printed")
    SENT = "sent", _("Sent")
    DELIVERED = "delivered", _("Delivered")
    OPENED = "opened", _("Opened")
    CLICKED = "clicked", _("Clicked")
    BOUNCED = "bounced", _("Bounced")
    COMPLAINED = "complained", _("Complained")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    AMBIGUOUS = "ambiguous", _("Perhaps sent")


#: What becomes of a message once its channel took it, weakest first. Providers tell of it late, out of order and
#: more than once; the strongest word told is the status, whatever the order. A bounce outweighs an open: scanners
#: open mail no person ever gets.
STRENGTH: tuple[str, ...] = (
    MessageStatus.SENT,
    MessageStatus.DELIVERED,
    MessageStatus.OPENED,
    MessageStatus.CLICKED,
    MessageStatus.BOUNCED,
    MessageStatus.COMPLAINED,
)
_AFTER_SENT = frozenset(STRENGTH[1:])
#: Statuses in which a message has not left yet but is on its way.
PENDING: frozenset[str] = frozenset({MessageStatus.QUEUED, MessageStatus.SENDING, MessageStatus.TO_PRINT})
#: Statuses in which a message did not reach anybody and will not: no contact, for the engine and for the guard.
LOST: frozenset[str] = frozenset({MessageStatus.CANCELLED, MessageStatus.FAILED, MessageStatus.BOUNCED})
#: `sending` returns to `queued` only from the process that claimed it, or swept while it has no text yet: with its
#: text stored, a worker that died may have sent it. Such rows become `ambiguous` and are shown to staff (at most
#: once; see docs/decisions). A provider's word about a message we hold for unsent proves that it was sent.
TRANSITIONS: dict[str, frozenset[str]] = {
    MessageStatus.QUEUED: frozenset({MessageStatus.SENDING, MessageStatus.CANCELLED, MessageStatus.FAILED})
    | _AFTER_SENT,
    MessageStatus.SENDING: frozenset(
        {
            MessageStatus.SENT,
            MessageStatus.TO_PRINT,
            MessageStatus.FAILED,
            MessageStatus.CANCELLED,
            MessageStatus.QUEUED,
            MessageStatus.AMBIGUOUS,
        }
        | _AFTER_SENT
    ),
    # A letter counts as sent when a person has printed it; until then facts may still stop it.
    MessageStatus.TO_PRINT: frozenset({MessageStatus.SENT, MessageStatus.CANCELLED}) | _AFTER_SENT,
    MessageStatus.AMBIGUOUS: frozenset({MessageStatus.SENT, MessageStatus.QUEUED, MessageStatus.FAILED}) | _AFTER_SENT,
    MessageStatus.FAILED: frozenset({MessageStatus.QUEUED}) | _AFTER_SENT,
    MessageStatus.CANCELLED: frozenset(),
    **{status: frozenset(STRENGTH[place + 1 :]) for place, status in enumerate(STRENGTH)},
}


def stronger(current: str, told: str) -> str:
    """The status of a message that is `current` when `told` (one of STRENGTH) is said of it."""
    if current in STRENGTH:
        return max(current, told, key=STRENGTH.index)
    return told if told in TRANSITIONS.get(current, frozenset()) else current


class MessagePurpose(models.TextChoices):
    DUNNING = "dunning", _("Asks for payment")
    RECEIPT = "receipt", _("Thanks for payment")


class Message(models.Model):
    """One message to one address. Queued without text; the delivering process renders it just before
    sending and stores the final text in the same step that marks it `sending`. Never edited after that."""

    customer = models.ForeignKey(
        Customer,
        verbose_name=_("customer"),
        on_delete=models.CASCADE,
        related_name="messages",
        db_index=False,  # message_by_customer begins with it
    )
    brand = models.ForeignKey(
        Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    case = models.ForeignKey(Case, verbose_name=_("case"), on_delete=models.CASCADE, related_name="messages")
    step_run = models.ForeignKey(
        StepRun,
        verbose_name=_("step"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="messages",
        db_index=False,  # message_once_per_step_contact_channel begins with it
    )
    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,  # read only when a contact is deleted
    )
    #: Who wrote it in person; null: a ladder or the system.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("written by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,  # no reader
    )
    #: What that person wrote in place of the template's own words (Liquid); empty: the template's.
    own_subject = models.CharField(_("own subject"), max_length=500, blank=True, default="", db_default="")
    own_text = models.TextField(_("own text"), blank=True, default="", db_default="")
    purpose = models.CharField(
        _("purpose"), max_length=10, choices=MessagePurpose.choices, default=MessagePurpose.DUNNING
    )
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    template_version = models.ForeignKey(
        TemplateVersion, verbose_name=_("template"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    language = models.CharField(_("language"), max_length=8)
    recipient = models.CharField(_("recipient"), max_length=320)
    #: What makes this message one: the step's run, contact and channel, or the case's receipt.
    key = models.CharField(max_length=120, editable=False)
    status = models.CharField(_("status"), max_length=10, choices=MessageStatus.choices, default=MessageStatus.QUEUED)
    subject = models.CharField(_("subject"), max_length=500, blank=True)
    html = models.TextField(_("HTML part"), blank=True)
    text = models.TextField(_("text part"), blank=True)
    queued_at = models.DateTimeField(_("queued"))
    #: Queue of record of the deliver loop: due at or after this moment.
    send_at = models.DateTimeField(_("to be sent"), null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, editable=False)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    first_opened_at = models.DateTimeField(_("opened"), null=True, blank=True)
    first_clicked_at = models.DateTimeField(_("clicked"), null=True, blank=True)
    #: In-app notices: put away by the customer.
    dismissed_at = models.DateTimeField(_("dismissed"), null=True, blank=True)
    #: Its channel has been out of reach since; empty while it is not.
    outage_since = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(_("tries"), default=0)
    #: Parts a text message was sent and is billed in.
    segments = models.PositiveSmallIntegerField(_("parts"), default=0, db_default=0)
    provider_id = models.CharField(_("provider id"), max_length=255, blank=True)
    #: Why it was cancelled, deferred or failed, in words; `rule` names the guard's rule.
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    rule = models.CharField(_("rule"), max_length=60, blank=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-queued_at", "-id"]
        constraints = [
            # Not unique=True, which would bring a second index for LIKE.
            models.UniqueConstraint(fields=["key"], name="message_key_unique"),
            models.UniqueConstraint(
                fields=["step_run", "contact", "channel"],
                condition=Q(step_run__isnull=False),
                name="message_once_per_step_contact_channel",
            ),
        ]
        indexes = [
            # Reader: campaigns.delivery claims what is due.
            models.Index(fields=["send_at", "id"], name="message_due", condition=Q(status="queued")),
            # Reader: campaigns.delivery sweeps claims of dead workers.
            models.Index(fields=["claimed_at"], name="message_stuck", condition=Q(status="sending")),
            # Reader: campaigns.engine.load counts the latest contacts; a customer's messages, newest first.
            models.Index(fields=["customer", "-queued_at"], name="message_by_customer"),
            # Readers: the list narrowed to what there may be few of.
            models.Index(
                fields=["status", "-id"],
                name="message_astray",
                condition=Q(status__in=["to_print", "bounced", "complained", "failed", "cancelled", "ambiguous"]),
            ),
            models.Index(fields=["purpose", "-id"], name="message_beside", condition=~Q(purpose="dunning")),
            # Reader: tracking callbacks find their message.
            models.Index(fields=["provider_id"], name="message_provider", condition=~Q(provider_id="")),
        ]

    def __str__(self) -> str:
        return self.subject or f"#{self.pk}"


class DeliveryEvent(models.Model):
    """What a provider told about a message; told twice, stored once."""

    message = models.ForeignKey(
        Message, verbose_name=_("message"), on_delete=models.CASCADE, related_name="delivery_events"
    )
    kind = models.CharField(_("kind"), max_length=30)
    at = models.DateTimeField(_("at"))
    external_id = models.CharField(_("event id"), max_length=255)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True)

    class Meta:
        verbose_name = _("delivery event")
        verbose_name_plural = _("delivery events")
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["message", "external_id"], name="delivery_event_once"),
        ]

    def __str__(self) -> str:
        return self.kind
