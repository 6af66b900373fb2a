"""The back office's frame: name, colours, and a sidebar grouped by the job to be done."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _list(title: Any, icon: str, app: str, model: str, query: str = "", **extra: Any) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": lambda request: f"{reverse_lazy(f'admin:{app}_{model}_changelist')}{query}",
        "permission": _may(f"{app}.view_{model}"),
        **extra,
    }


def environment(request: HttpRequest) -> list[str] | None:
    """The label beside the user menu: says loudly that this is not production."""
    return [_now("Demo"), "warning"] if settings.EMBEDDED else None


def site_subheader(request: HttpRequest) -> str:
    """Times on every page are in this zone unless they say otherwise."""
    return _now("Times in %(zone)s") % {"zone": settings.TIME_ZONE}


def work_due(request: HttpRequest) -> int:
    """What is due of one's own and of nobody's, for the sidebar, at most 100; one look at a partial index."""
    from campaigns.models import WorkItem
    from customers import clock

    own = Q(owner=request.user.pk) | Q(owner=None)
    return WorkItem.objects.filter(own, due_at__lte=clock.now()).order_by()[:100].count()


def model_news(request: HttpRequest) -> int:
    """Switches of retry models that nobody has looked at yet, for the sidebar."""
    from billing.retries.champion.switching import alerts_new

    return alerts_new()


def approvals_open(request: HttpRequest) -> int:
    """What others asked for and this person may decide, for the sidebar."""
    from billing.approvals import approvals_waiting

    return approvals_waiting(request.user)


NAVIGATION: list[dict[str, Any]] = [
    {
        "title": _("Work"),
        "items": [
            {"title": _("Dashboard"), "icon": "space_dashboard", "link": reverse_lazy("admin:index")},
            _list(_("Worklist"), "checklist", "campaigns", "workitem", badge="dunning_site.admin_site.work_due"),
            _list(_("Cases"), "folder_open", "campaigns", "case", "?state__exact=open"),
            _list(_("Customers"), "group", "customers", "customer"),
            _list(
                _("Approvals"),
                "approval",
                "billing",
                "approvalrequest",
                "?status__exact=pending",
                badge="dunning_site.admin_site.approvals_open",
            ),
            _list(_("Bulk acts"), "playlist_add_check", "customers", "bulkjob"),
        ],
    },
    {
        "title": _("Money"),
        "separator": True,
        "items": [
            _list(_("Invoices"), "receipt_long", "billing", "invoice"),
            _list(_("Attempts"), "credit_card_clock", "billing", "paymentattempt"),
            _list(_("Unknown decline codes"), "help", "billing", "unknowncode"),
            _list(_("Retry settings"), "tune", "billing", "retrypolicy"),
            _list(_("Rules for plans"), "calendar_month", "billing", "planpolicy"),
            _list(_("Retry models"), "model_training", "billing", "retrymodel"),
            _list(
                _("Models' log"),
                "notifications",
                "billing",
                "retrymodelevent",
                badge="dunning_site.admin_site.model_news",
            ),
            _list(_("Risk models"), "query_stats", "billing", "riskmodel"),
            _list(_("Payments"), "payments", "billing", "payment"),
            _list(_("Imports"), "upload_file", "billing", "importrun"),
            _list(_("Exports"), "download", "customers", "exportrun"),
            _list(_("Column mappings"), "view_column", "billing", "importmapping"),
            _list(_("Promises"), "handshake", "billing", "promise"),
            _list(_("Payment plans"), "calendar_month", "billing", "paymentplan"),
            _list(_("Disputes"), "gavel", "billing", "dispute"),
            _list(_("Late fees"), "percent", "billing", "fee"),
            _list(_("Subscriptions"), "autorenew", "billing", "subscription"),
            _list(_("Payment methods"), "credit_card", "billing", "paymentmethod"),
        ],
    },
    {
        "title": _("Campaigns"),
        "separator": True,
        "items": [
            _list(_("Ladders"), "stairs", "campaigns", "ladder"),
            _list(_("Experiments"), "science", "campaigns", "experiment"),
            _list(_("Segments"), "filter_alt", "campaigns", "segment"),
            _list(_("Simulations"), "event_upcoming", "campaigns", "simulationrun"),
            _list(_("Templates"), "draft", "campaigns", "template"),
            _list(_("Agencies"), "real_estate_agent", "campaigns", "agency"),
            _list(_("Hand-overs"), "handshake", "campaigns", "handover", "?status__exact=open"),
            _list(_("Playbooks"), "menu_book", "campaigns", "playbook"),
            _list(_("Messages"), "mail", "campaigns", "message"),
            _list(_("Incoming"), "move_to_inbox", "campaigns", "inboundmessage"),
            _list(_("Letters to print"), "print", "campaigns", "printbatch"),
            _list(_("Contact rules"), "policy", "campaigns", "policyoverride"),
            _list(_("Consent register"), "how_to_reg", "customers", "consentevent"),
            _list(_("Suppressions"), "block", "customers", "suppression"),
            _list(_("Communication log"), "history", "customers", "interaction"),
        ],
    },
    {
        "title": _("System"),
        "separator": True,
        "collapsible": True,
        "items": [
            _list(_("Inbox"), "inbox", "billing", "inboxevent"),
            _list(_("Orders to processor"), "outbox", "billing", "processorcommand"),
            _list(_("Processor accounts"), "account_balance", "billing", "processoraccount"),
            _list(_("Endpoints"), "webhook", "integrations", "endpoint"),
            _list(_("Events told"), "campaign", "integrations", "eventdelivery"),
            _list(_("Brands"), "storefront", "customers", "brand"),
            {
                "title": _("Duplicates"),
                "icon": "merge",
                "link": reverse_lazy("admin:customers_customer_duplicates"),
                "permission": _may("customers.merge_customer"),
            },
            _list(_("Portal links"), "link", "portal", "portallink"),
            _list(_("Users"), "badge", "auth", "user"),
            _list(_("Groups"), "groups", "auth", "group"),
            _list(_("Teams"), "diversity_3", "customers", "team"),
            _list(_("Whom roles see"), "visibility", "customers", "rolevisibility"),
            _list(_("Limits without approval"), "price_check", "billing", "approvallimit"),
            _list(_("Schedules"), "schedule", "django_celery_beat", "periodictask"),
            {
                "title": _("Stripe mirror"),
                "icon": "sync_alt",
                "link": lambda request: str(reverse_lazy("admin:app_list", kwargs={"app_label": "djstripe"})),
                "permission": lambda request: request.user.has_module_perms("djstripe"),
            },
        ],
    },
]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Sollecito",
    "SITE_HEADER": "Sollecito",
    "SITE_SUBHEADER": site_subheader,
    "SITE_SYMBOL": "stairs",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("dunning_site/icon.svg"),
        }
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "dunning_site.admin_site.environment",
    "DASHBOARD_CALLBACK": "insights.dashboard.dashboard_callback",
    "STYLES": [lambda request: static("dunning_site/admin.css")],
    "COLORS": {
        # A green of ledgers: the product is about money coming home.
        "primary": {
            "50": "#f0fdf9",
            "100": "#ccfbec",
            "200": "#99f6db",
            "300": "#5eeac6",
            "400": "#2dd4ac",
            "500": "#14b893",
            "600": "#0b8a6f",
            "700": "#0d7560",
            "800": "#105d4e",
            "900": "#124d41",
            "950": "#042f28",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": NAVIGATION,
    },
}
