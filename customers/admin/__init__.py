"""The back office for brands, customers, their contacts and the communication log."""

from customers.admin.bulk_jobs import BulkJobAdmin
from customers.admin.consent import ConsentEventAdmin
from customers.admin.customer import CustomerAdmin
from customers.admin.export_runs import ExportRunAdmin
from customers.admin.people import BrandAdmin, ContactAdmin, InteractionAdmin, SuppressionAdmin
from customers.admin.teams import RoleVisibilityAdmin, TeamAdmin

__all__ = [
    "BrandAdmin",
    "BulkJobAdmin",
    "ConsentEventAdmin",
    "ContactAdmin",
    "CustomerAdmin",
    "ExportRunAdmin",
    "InteractionAdmin",
    "RoleVisibilityAdmin",
    "SuppressionAdmin",
    "TeamAdmin",
]
