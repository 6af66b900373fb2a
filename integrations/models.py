"""Endpoints that are told what happens, and each telling until it was heard."""

import base64
import secrets

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from customers.models import Brand
from integrations.webhooks.addresses import AddressRefused, check_url


class Event(models.TextChoices):
    """What an endpoint may be told of: kinds of the communication log, and work made for staff."""

    TASK_CREATED = "task.created", _("Staff have something to do")
    STEP_WEBHOOK = "step.webhook", _("A step of a ladder calls this endpoint")
    CASE_OPENED = "case.opened", _("A case was opened")
    CASE_EXHAUSTED = "case.exhausted", _("A ladder ended unpaid")
    CASE_RECOVERED = "case.recovered", _("A case was recovered")
    CASE_LOST = "case.lost", _("A case was lost")
    CASE_CANCELLED = "case.cancelled", _("A case was closed by staff")
    CASE_HANDED_OVER = "case.handed_over", _("A case went to an agency")
    SERVICE_SUSPEND = "service.suspend", _("The service is to be suspended")
    SERVICE_RESUME = "service.resume", _("The service is to be given back")
    PROMISE_MADE = "promise.made", _("A promise to pay was made")
    PROMISE_BROKEN = "promise.broken", _("A promise was broken")
    PLAN_BROKEN = "plan.broken", _("A payment plan was broken")
    REPLY_RECEIVED = "reply.received", _("A customer wrote")
    MESSAGE_BOUNCED = "message.bounced", _("A message bounced")
    MESSAGE_COMPLAINED = "message.complained", _("A message was reported as spam")
    INVOICE_PAID = "invoice.paid", _("An invoice was paid")
    DISPUTE_OPENED = "dispute.opened", _("A payment was disputed")


def new_secret() -> str:
    """A signing secret as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Endpoint(models.Model):
    """Who is told: another system (signed webhook), or staff (chat or e-mail)."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", _("Webhook, signed")
        CHAT = "chat", _("Chat (Slack, Mattermost, Discord /slack, Teams bridges)")
        EMAIL = "email", _("E-mail to staff")

    name = models.CharField(_("name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.WEBHOOK)
    url = models.URLField(_("address"), max_length=500, blank=True, help_text=_("https only; for webhook and chat."))
    email = models.EmailField(_("e-mail"), blank=True)
    secret = models.CharField(
        _("signing secret"),
        max_length=100,
        default=new_secret,
        blank=True,
        help_text=_("The receiver checks our signature with it (standardwebhooks.com)."),
    )
    events = ArrayField(models.CharField(max_length=60, choices=Event.choices), verbose_name=_("told of"))
    brand = models.ForeignKey(
        Brand,
        verbose_name=_("brand"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Empty: of every brand."),
    )
    active = models.BooleanField(_("active"), default=True)
    #: Rows of the log and of tasks up to `seen` were looked at; what came before `began` is none of its business.
    seen_interaction = models.BigIntegerField(default=0, editable=False)
    seen_task = models.BigIntegerField(default=0, editable=False)
    began_interaction = models.BigIntegerField(default=0, editable=False)
    began_task = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords(
        excluded_fields=["seen_interaction", "seen_task", "began_interaction", "began_task", "secret"]
    )

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=(Q(kind="email") & ~Q(email="")) | (~Q(kind="email") & ~Q(url="")),
                name="endpoint_has_its_address",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuses an address that leads into our own network, or none at all."""
        if self.kind == self.Kind.EMAIL:
            if not self.email:
                raise ValidationError({"email": _("Where is the mail to go?")})
            return
        if not self.url:
            raise ValidationError({"url": _("Where is it to be told?")})
        try:
            check_url(self.url)
        except AddressRefused as error:
            raise ValidationError({"url": error.message}) from error


class EventDelivery(models.Model):
    """One event for one endpoint, told until it is heard: at least once, always under the same event id."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Given up")

    TRANSITIONS = {
        Status.WAITING: frozenset({Status.DELIVERED, Status.FAILED}),
        Status.FAILED: frozenset({Status.WAITING}),
        Status.DELIVERED: frozenset(),
    }

    endpoint = models.ForeignKey(
        Endpoint,
        verbose_name=_("endpoint"),
        on_delete=models.CASCADE,
        related_name="deliveries",
        db_index=False,  # event_once_per_endpoint begins with it
    )
    event_id = models.CharField(_("event"), max_length=150)
    kind = models.CharField(_("kind"), max_length=60)
    payload = models.JSONField(_("payload"))
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.WAITING)
    created_at = models.DateTimeField(_("created"))
    #: Queue of record: due at or after this moment; moved forward while somebody is at it.
    next_at = models.DateTimeField(_("next try"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("tries"), default=0)
    delivered_at = models.DateTimeField(_("delivered"), null=True, blank=True)
    error = models.CharField(_("what happened"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("event told")
        verbose_name_plural = _("events told")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event_id"], name="event_once_per_endpoint"),
        ]
        indexes = [
            # Reader: integrations.webhooks.deliver claims what is due.
            models.Index(fields=["next_at", "id"], name="event_due", condition=Q(status="waiting")),
        ]

    def __str__(self) -> str:
        return self.event_id
