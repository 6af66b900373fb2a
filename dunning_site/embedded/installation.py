"""Makes a fresh installation usable: schema, shipped texts, the sandbox's account, first log-ins."""

import secrets

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from billing.ingest.facts import SUBSCRIBE
from billing.models import ProcessorAccount
from campaigns.models import Case, CaseState
from customers import clock
from customers.models import Brand
from dunning_site.embedded.sandbox_control import SandboxControl
from dunning_site.roles import roles_sync
from dunning_site.schedules import schedules_sync
from portal.links import link_create

#: The demo's log-ins, one per role. They work on loopback with embedded services only.
DEMO_PASSWORD = "sollecito-demo"  # noqa: S105
DEMO_USERS = {"admin": None, "collector": "collector", "manager": "manager", "auditor": "auditor"}


def prepare() -> None:
    """Brings schema and shipped texts up to date and names the sandbox's account. Safe to repeat."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0)
    schedules_sync()
    roles_sync()
    brand, _made = Brand.objects.get_or_create(
        code="nuvola",
        defaults={
            "name": "Nuvola",
            "from_name": "Nuvola Billing",
            "from_email": "billing@nuvola.example",
            "reply_to": "billing@nuvola.example",
            "support_email": "help@nuvola.example",
            "support_url": "https://nuvola.example/help",
            "postal_address": "Nuvola S.r.l., Via Torino 61, 20123 Milano",
            "color": "#4338ca",
            "timezone": "Europe/Rome",
        },
    )
    ProcessorAccount.objects.get_or_create(code="stripe", defaults={"name": "Stripe", "brand": brand})
    call_command("load_shipped", verbosity=0)
    SandboxControl(settings.STRIPE_API_BASE).subscribe(
        f"{settings.BASE_URL}/webhooks/stripe/", SUBSCRIBE, settings.STRIPE_SECRET_KEY
    )


def demo_users() -> None:
    """Creates the demo's log-ins where they are missing."""
    # One password, so one hash: making it slow is the point of a hash.
    password = make_password(DEMO_PASSWORD)
    for username, group in DEMO_USERS.items():
        user, made = User.objects.get_or_create(
            username=username, defaults={"is_staff": True, "is_superuser": group is None, "password": password}
        )
        if made and group:
            user.groups.add(Group.objects.get(name=group))


def first_admin() -> str | None:
    """Password of an `admin` made because there was no user at all; None otherwise."""
    if User.objects.exists():
        return None
    password = secrets.token_urlsafe(9)
    User.objects.create_superuser("admin", password=password)
    return password


def welcome(*, password: str | None = None) -> str:
    """What a person needs to go on, in a few lines."""
    lines = [
        "",
        _("Sollecito is serving on %(url)s/admin/") % {"url": settings.BASE_URL},
        _("Mail sent so far:  %(url)s/dev/mail/") % {"url": settings.BASE_URL},
    ]
    if password:
        lines.append(_("Log in as admin with the password %(password)s") % {"password": password})
    lines += [_("Ctrl-C stops everything; the data stays in var/ (make clean removes it)."), ""]
    return "\n".join(lines)


def demo_welcome() -> str:
    """The log-ins of each role, and the portal as a customer who owes sees it."""
    roles = ", ".join(DEMO_USERS)
    lines = [
        welcome(),
        _("Log in as %(roles)s; the password is %(password)s") % {"roles": roles, "password": DEMO_PASSWORD},
    ]
    if link := _a_portal_link():
        lines.append(_("A customer's portal: %(url)s") % {"url": link})
    return "\n".join([*lines, ""])


def _a_portal_link() -> str | None:
    case = Case.objects.filter(state=CaseState.OPEN).order_by("-opened_at").first()
    if case is None:
        return None
    return link_create(customer_id=case.customer_id, brand_id=case.brand_id, now=clock.now()).url
