"""Brands that are owed and customers who owe."""

import zoneinfo

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Right, Upper
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

#: Languages the shipped texts exist in, or will; a customer's language outside it falls back to the brand's.
LANGUAGES = [
    ("en", _("English")),
    ("it", _("Italian")),
    ("fr", _("French")),
    ("pl", _("Polish")),
    ("de", _("German")),
    ("es", _("Spanish")),
]
#: The last digits of `phone`, however it is written: what an index finds candidates by, to be compared in full by
#: customers.addresses.normalise.
PHONE_DIGITS = 8
PHONE_TAIL = Right(
    models.Func(
        models.F("phone"),
        models.Value(r"\D"),
        models.Value(""),
        models.Value("g"),
        function="regexp_replace",
        output_field=models.CharField(),
    ),
    PHONE_DIGITS,
)


def validate_timezone(value: str) -> None:
    """Refuses a name the IANA database does not hold: quiet hours computed in a wrong zone break the law."""
    if value and value not in zoneinfo.available_timezones():
        raise ValidationError(_("%(value)s is not an IANA time zone."), params={"value": value})


class Brand(models.Model):
    """A legal entity or product line that sends under its own name; most installations have one."""

    code = models.SlugField(_("code"), unique=True, max_length=50)
    name = models.CharField(_("name"), max_length=120)
    from_email = models.EmailField(_("sender address"))
    from_name = models.CharField(_("sender name"), max_length=120, blank=True)
    reply_to = models.EmailField(_("reply-to address"), blank=True)
    support_email = models.EmailField(_("support address"), blank=True)
    support_url = models.URLField(_("support page"), blank=True)
    postal_address = models.TextField(_("postal address"), blank=True)
    color = models.CharField(_("colour"), max_length=7, default="#4f46e5", help_text=_("As #rrggbb."))
    logo_url = models.URLField(_("logo"), blank=True)
    default_language = models.CharField(_("default language"), max_length=8, choices=LANGUAGES, default="en")
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[validate_timezone])
    collects_for_others = models.BooleanField(
        _("collects debts owed to others"),
        default=False,
        help_text=_("Debt collectors are bound by stricter rules than creditors, in the United States for example."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("brand")
        verbose_name_plural = _("brands")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CustomerKind(models.TextChoices):
    CONSUMER = "consumer", _("Consumer")
    BUSINESS = "business", _("Business")


class CustomerManager(models.Manager["Customer"]):
    """Customers as people mean them: without the duplicates that were merged into others."""

    def get_queryset(self) -> models.QuerySet["Customer"]:
        return super().get_queryset().filter(merged_into=None)


#: Source of customers who are there to learn on: nobody counts what they owe or answer.
PRACTICE = "practice"


class Customer(models.Model):
    """Who owes. Outside identity is (source, external_id); source names the account it came from."""

    source = models.CharField(_("source"), max_length=50, default="manual")
    external_id = models.CharField(_("external id"), max_length=255, null=True, blank=True)
    brand = models.ForeignKey(Brand, verbose_name=_("brand"), on_delete=models.PROTECT, related_name="customers")
    name = models.CharField(_("name"), max_length=255, blank=True)
    email = models.EmailField(_("e-mail"), max_length=320, blank=True)
    phone = models.CharField(_("telephone"), max_length=32, blank=True)
    postal_address = models.TextField(
        _("postal address"), max_length=300, blank=True, help_text=_("As it stands on an envelope, without the name.")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=CustomerKind.choices, default=CustomerKind.CONSUMER)
    country = models.CharField(_("country"), max_length=2, blank=True, help_text=_("ISO 3166 two letters."))
    vat_id = models.CharField(_("VAT number"), max_length=32, blank=True)
    language = models.CharField(_("language"), max_length=8, blank=True)
    timezone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        validators=[validate_timezone],
        help_text=_("IANA name; empty: derived from the country, then the brand's."),
    )
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True, verbose_name=_("tags"))
    #: Explicit exclusions. `no_dunning` wins over every ladder; `do_not_contact` silences every channel.
    no_dunning = models.BooleanField(_("no dunning"), default=False)
    do_not_contact = models.BooleanField(_("do not contact"), default=False)
    legal_hold = models.BooleanField(_("legal hold"), default=False)
    bankrupt = models.BooleanField(_("bankrupt"), default=False)
    vulnerable = models.BooleanField(_("vulnerable customer"), default=False)
    exclusion_reason = models.CharField(_("reason of the exclusion"), max_length=255, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    #: When the outside object was in this state (aware UTC); facts older than it change nothing.
    facts_as_of = models.DateTimeField(null=True, editable=False)
    #: The campaign side looks at this customer again at or after this moment (queue of record).
    reassess_at = models.DateTimeField(null=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted at the source"), null=True, blank=True)
    #: A duplicate whose everything went to another customer (customers.merging). The row stays as the name the outside
    #: knows it by: facts about that identity are told of the customer kept. Never a chain: the one kept is not merged.
    merged_into = models.ForeignKey(
        "self",
        verbose_name=_("merged into"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="duplicates",
        db_index=False,  # customer_merged
    )
    merged_at = models.DateTimeField(_("merged"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    history = HistoricalRecords(excluded_fields=["facts_as_of", "reassess_at", "metadata"])

    objects = CustomerManager()
    #: Merged duplicates too: for who looks up an outside identity.
    with_merged = models.Manager()  # noqa: DJ012  (a manager, too, though the rule knows it for a field)

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        ordering = ["name", "id"]
        permissions = [("merge_customer", "Can merge duplicate customers")]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(external_id__isnull=False),
                name="customer_outside_identity_unique",
            ),
        ]
        indexes = [
            # Reader: campaigns.engine.assess claims customers whose facts changed or whose due date passed.
            models.Index(
                fields=["reassess_at", "id"],
                name="customer_reassess_due",
                condition=Q(reassess_at__isnull=False),
            ),
            # Reader: admin search on the customer list.
            GinIndex(
                OpClass(Upper("name"), name="gin_trgm_ops"),
                OpClass(Upper("email"), name="gin_trgm_ops"),
                name="customer_search_trgm",
            ),
            # Reader: the customer list in the order of names.
            models.Index(fields=["name", "id"], name="customer_by_name"),
            # Readers: the list narrowed to what there are few of.
            models.Index(fields=["id"], name="customer_no_dunning", condition=Q(no_dunning=True)),
            models.Index(fields=["id"], name="customer_do_not_contact", condition=Q(do_not_contact=True)),
            models.Index(fields=["id"], name="customer_legal_hold", condition=Q(legal_hold=True)),
            models.Index(fields=["id"], name="customer_bankrupt", condition=Q(bankrupt=True)),
            models.Index(fields=["id"], name="customer_vulnerable", condition=Q(vulnerable=True)),
            # Readers: every figure, which leave out whom staff practise on.
            models.Index(fields=["id"], name="customer_practice", condition=Q(source=PRACTICE)),
            # Reader: campaigns.inbound.match finds whose number a text message came from.
            models.Index(PHONE_TAIL, name="customer_by_phone", condition=~Q(phone="")),
            # Reader: customers.duplicates, of a customer's VAT number.
            models.Index(Upper("vat_id"), name="customer_by_vat_id", condition=~Q(vat_id="")),
            # Reader: a customer's page and customers.merging, which duplicates it took in.
            models.Index(fields=["merged_into"], name="customer_merged", condition=Q(merged_into__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.external_id or f"#{self.pk}"
