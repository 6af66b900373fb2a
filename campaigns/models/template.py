"""Message templates: versioned, one text per language, compiled when published."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from campaigns.models.segment import Segment
from customers.models import Channel
from customers.models.customer import LANGUAGES

#: Channels that take the text of another where the template has none of their own: (template version, language,
#: channel) finds a text, then these in order. A letter and a notice may be made of the e-mail's plain part.
TEXT_OF: dict[str, tuple[str, ...]] = {
    Channel.WHATSAPP.value: (Channel.SMS.value,),
    Channel.IN_APP.value: (Channel.SMS.value,),
    Channel.LETTER.value: (Channel.EMAIL.value,),
    Channel.WEBHOOK.value: (Channel.EMAIL.value,),
}


class Template(models.Model):
    """A message by name; its text lives in versions."""

    class Tone(models.TextChoices):
        FRIENDLY = "friendly", _("Friendly")
        FIRM = "firm", _("Firm")
        FINAL = "final", _("Final")

    code = models.SlugField(_("code"), unique=True, max_length=60)
    name = models.CharField(_("name"), max_length=120)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    tone = models.CharField(_("tone"), max_length=10, choices=Tone.choices, default=Tone.FRIENDLY)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TemplateVariant(models.Model):
    """What the customers of a segment are written instead of a template; the first by position that fits counts.

    Another template and not a text of this one, so that it has versions, languages and checks of its own. In force
    as soon as it is saved, as a ladder's audience is; chosen by campaigns.variants.
    """

    template = models.ForeignKey(
        Template,
        verbose_name=_("template"),
        on_delete=models.CASCADE,
        related_name="variants",
        db_index=False,  # template_variant_segment_once begins with it
    )
    position = models.PositiveSmallIntegerField(_("order"), default=1)
    segment = models.ForeignKey(
        Segment, verbose_name=_("segment"), on_delete=models.PROTECT, related_name="template_variants"
    )
    instead = models.ForeignKey(
        Template, verbose_name=_("template written instead"), on_delete=models.PROTECT, related_name="variant_of"
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("variant for a segment")
        verbose_name_plural = _("variants for segments")
        ordering = ["template", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["template", "segment"], name="template_variant_segment_once"),
            models.CheckConstraint(condition=~Q(template=F("instead")), name="template_variant_is_another"),
        ]

    def __str__(self) -> str:
        return f"{self.segment}: {self.instead}"

    def clean(self) -> None:
        """Says the constraint in words: a form within the template's page leaves the template out of its checks."""
        if self.template_id == self.instead_id:
            raise ValidationError({"instead": _("A template is not written instead of itself.")})


class TemplateVersion(models.Model):
    """One state of a template in all its languages. Published ones never change."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")
        RETIRED = "retired", _("Retired")

    template = models.ForeignKey(
        Template, verbose_name=_("template"), on_delete=models.CASCADE, related_name="versions"
    )
    number = models.PositiveIntegerField(_("version"))
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.DRAFT)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("published by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        verbose_name = _("template version")
        verbose_name_plural = _("template versions")
        ordering = ["template", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="template_version_number_unique"),
            models.UniqueConstraint(fields=["template"], condition=Q(status="draft"), name="template_one_draft"),
            models.UniqueConstraint(
                fields=["template"], condition=Q(status="published"), name="template_one_published_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template} v{self.number}"


class TemplateText(models.Model):
    """What one template version says in one language over one channel.

    E-mail: `body` is MJML with Liquid; `compiled_html` is it through MJML once, at publishing, with the Liquid tags
    still in; `text` is the plain part, derived where the author left it empty. Every other channel: `body` is plain
    text with Liquid and `compiled_text` what is rendered; a letter and a notice also use the subject as heading.
    """

    version = models.ForeignKey(
        TemplateVersion, verbose_name=_("template version"), on_delete=models.CASCADE, related_name="texts"
    )
    language = models.CharField(_("language"), max_length=8, choices=LANGUAGES)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    subject = models.CharField(_("subject"), max_length=255, blank=True)
    body = models.TextField(_("body"))
    text = models.TextField(_("plain text"), blank=True)
    compiled_html = models.TextField(editable=False, blank=True)
    compiled_text = models.TextField(editable=False, blank=True)

    history = HistoricalRecords(excluded_fields=["compiled_html", "compiled_text"])

    class Meta:
        verbose_name = _("template text")
        verbose_name_plural = _("template texts")
        ordering = ["version", "language", "channel"]
        constraints = [
            models.UniqueConstraint(fields=["version", "language", "channel"], name="template_text_language_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.version} ({self.language}, {self.channel})"
