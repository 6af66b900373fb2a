"""Admin of portal links: who may come in, how often they did, and shutting the door."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from customers import clock
from customers.admin.base import ReadOnlyAdmin
from customers.admin.customer import CustomerAdmin
from customers.admin.page import PageAdmin, Section
from customers.display import badge
from customers.models import Customer
from portal.models import PortalLink


def link_badge(row: PortalLink, now: datetime) -> str:
    """Whether the link still opens the portal, in one word."""
    if row.revoked_at:
        return badge(_("revoked"), "danger")
    if row.expires_at <= now:
        return badge(_("expired"))
    return badge(_("works"), "success")


@admin.register(PortalLink)
class PortalLinkAdmin(PageAdmin, ReadOnlyAdmin):
    list_display = ("__str__", "customer", "state", "created_at", "expires_at", "last_used_at", "use_count")
    list_select_related = ("customer",)
    list_filter = (("created_at", RangeDateTimeFilter), ("last_used_at", RangeDateTimeFilter))
    search_trigram = ("customer__name", "customer__email")
    ordering = ("-id",)
    fields = (("customer", "brand"), ("created_at", "expires_at", "revoked_at"), ("last_used_at", "use_count"))

    @display(description=_("state"))
    def state(self, row: PortalLink) -> str:
        return link_badge(row, clock.now())


def _links(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    return {"links": [(row, link_badge(row, now)) for row in customer.portal_links.order_by("-id")[:100]]}


CustomerAdmin.add_section(
    Section("links", _("Portal links"), "admin/portal/customer/links.html", _links, "portal.view_portallink", 80)
)
