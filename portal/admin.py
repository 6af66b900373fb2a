"""Admin of portal links: who may come in, how often they did, and shutting the door."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from customers import clock
from customers.admin.base import ReadOnlyAdmin
from customers.admin.customer import CustomerAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Asked, PageAction, PageAdmin, Section
from customers.display import badge
from customers.models import Customer
from portal.links import link_create, link_revoke
from portal.models import PortalLink
from portal.reissue import link_send
from portal.viewing import viewed_as_customer


def link_badge(row: PortalLink, now: datetime) -> str:
    """Whether the link still opens the portal, in one word."""
    if row.revoked_at:
        return badge(_("revoked"), "danger")
    if row.expires_at <= now:
        return badge(_("expired"))
    return badge(_("works"), "success")


def _revoke(asked: Asked) -> str:
    link_revoke(link_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("The link opens nothing any more.")


def _create(asked: Asked) -> HttpResponse:
    """Makes a link and shows it, once: only its fingerprint is stored."""
    customer: Customer = asked.obj
    issued = link_create(customer_id=customer.pk, brand_id=customer.brand_id, now=asked.now, actor_id=asked.actor_id)
    context = admin.site.each_context(asked.request) | {
        "title": _now("Portal link"),
        "opts": Customer._meta,
        "original": customer,
        "link_url": issued.url,
        "link": issued.link,
        "customer": customer,
    }
    return TemplateResponse(asked.request, "admin/portal/link_created.html", context)


@admin.register(PortalLink)
class PortalLinkAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("Links to the payment page appear here once a message carries one.")
    list_display = ("__str__", "customer", "state", "created_at", "expires_at", "last_used_at", "use_count")
    list_select_related = ("customer",)
    list_filter = (("created_at", MomentRangeFilter), ("last_used_at", MomentRangeFilter))
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (("customer", "brand"), ("created_at", "expires_at", "revoked_at"), ("last_used_at", "use_count"))
    page_actions = [
        PageAction(
            slug="revoke",
            label=_("Revoke"),
            icon="link_off",
            permission="portal.change_portallink",
            question=_("Whoever has the link sees a page that helps them ask for a new one, and nothing else."),
            fits=lambda row: row.revoked_at is None,
            run=_revoke,
            danger=True,
        )
    ]

    @display(description=_("state"))
    def state(self, row: PortalLink) -> str:
        return link_badge(row, clock.now())


def _send(asked: Asked) -> str:
    address = link_send(customer_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("A link was sent to %(address)s.") % {"address": address}


def _view(asked: Asked) -> HttpResponse:
    """The page itself, not within the admin's."""
    return viewed_as_customer(request=asked.request, customer=asked.obj, actor_id=asked.actor_id, now=asked.now)


def _links(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    return {"links": [(row, link_badge(row, now)) for row in customer.portal_links.order_by("-id")[:100]]}


CustomerAdmin.add_section(
    Section("links", _("Portal"), "admin/portal/customer/links.html", _links, "portal.view_portallink", 80)
)
CustomerAdmin.add_action(
    PageAction(
        slug="portal-link",
        label=_("Portal link"),
        icon="link",
        permission="portal.add_portallink",
        question=_("Makes a new link to the customer's page, to be read out or pasted. It is shown once."),
        run=_create,
        order=30,
    )
)
CustomerAdmin.add_action(
    PageAction(
        slug="portal-send",
        label=_("Send portal link"),
        icon="forward_to_inbox",
        permission="portal.add_portallink",
        question=_("Mails a new link to the customer at once, whatever the hour: for somebody who asks for it."),
        run=_send,
        order=31,
    )
)
CustomerAdmin.add_action(
    PageAction(
        slug="portal-view",
        label=_("View portal as customer"),
        icon="visibility",
        permission="portal.view_as_customer",
        question=_("You see the page as the customer does. Nothing on it can be used; that you looked is logged."),
        run=_view,
        order=32,
    )
)
