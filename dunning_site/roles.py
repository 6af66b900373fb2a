"""Who may do what: five groups and their permissions, kept up to date after every migration.

One map. A permission here is what a page, an action on it or a list checks; superusers pass every check.
What operators add to a group by hand stays; what the map names is put back.
"""

from collections.abc import Iterable

from django.apps import apps
from django.contrib.auth.models import Group, Permission

from billing.approvals import limits_sync

APPS = ("customers", "billing", "campaigns", "portal", "integrations")

#: What a collector does all day: looks at everything, edits people, acts on cases, charges, promises, notes.
COLLECTOR = frozenset(
    {
        "customers.change_customer",
        "customers.add_contact",
        "customers.change_contact",
        "customers.add_interaction",
        "customers.add_suppression",
        "customers.add_consentevent",
        "customers.add_attachment",
        "customers.export_interaction",
        "customers.add_bulkjob",
        "billing.add_adjustment",
        "billing.add_promise",
        "billing.change_promise",
        "billing.add_dispute",
        "billing.change_dispute",
        "billing.add_paymentplan",
        "billing.change_paymentplan",
        "billing.add_paymentattempt",
        "billing.change_invoice",
        "billing.write_off_invoice",
        "campaigns.change_case",
        "campaigns.add_message",
        "campaigns.change_message",
        "campaigns.change_inboundmessage",
        "campaigns.add_printbatch",
        "campaigns.add_task",
        "campaigns.change_task",
        "campaigns.change_workitem",
        "portal.add_portallink",
        "portal.change_portallink",
        "portal.view_as_customer",
    }
)

#: A collector with experience: lifts a suppression, waives fees, passes limits, gives up small sums alone.
SENIOR = COLLECTOR | frozenset(
    {
        "customers.add_customer",
        "customers.change_suppression",
        "customers.delete_attachment",
        "customers.merge_customer",
        "billing.write_off_invoice",
        "billing.change_fee",
        "billing.override_limits",
    }
)

#: What a manager decides besides: texts, ladders, segments, retry settings, teams, and what others ask approval for.
MANAGER = SENIOR | frozenset(
    {
        "billing.decide_approvalrequest",
        "billing.add_importrun",
        "billing.change_importmapping",
        "billing.delete_importmapping",
        "customers.add_exportrun",
        "billing.switch_riskmodel",
        "customers.add_team",
        "customers.change_team",
        "customers.delete_team",
        "billing.add_planpolicy",
        "billing.change_planpolicy",
        "billing.add_retrypolicy",
        "billing.change_retrypolicy",
        "billing.delete_retrypolicy",
        "billing.switch_retrymodel",
        "billing.change_inboxevent",
        "billing.change_processorcommand",
        "campaigns.add_ladder",
        "campaigns.change_ladder",
        "campaigns.change_ladderoverride",
        "campaigns.change_ladderversion",
        "campaigns.delete_ladderversion",
        "campaigns.add_step",
        "campaigns.change_step",
        "campaigns.delete_step",
        "campaigns.add_experiment",
        "campaigns.change_experiment",
        "campaigns.delete_experiment",
        "campaigns.add_experimentarm",
        "campaigns.change_experimentarm",
        "campaigns.delete_experimentarm",
        "campaigns.add_segment",
        "campaigns.change_segment",
        "campaigns.delete_segment",
        "campaigns.add_simulationrun",
        "campaigns.delete_simulationrun",
        "campaigns.add_policyoverride",
        "campaigns.change_policyoverride",
        "campaigns.add_agency",
        "campaigns.change_agency",
        "campaigns.add_handover",
        "campaigns.change_handover",
        "campaigns.export_handover",
        "campaigns.add_playbook",
        "campaigns.change_playbook",
        "campaigns.delete_playbook",
        "campaigns.add_template",
        "campaigns.change_template",
        "campaigns.change_templateversion",
        "campaigns.delete_templateversion",
        "campaigns.add_templatetext",
        "campaigns.change_templatetext",
        "campaigns.delete_templatetext",
        "campaigns.add_templatevariant",
        "campaigns.change_templatevariant",
        "campaigns.delete_templatevariant",
        "campaigns.assign_workitem",
        "integrations.change_eventdelivery",
        "auth.view_user",
        "auth.view_group",
        "django_celery_beat.view_periodictask",
    }
)

#: Who runs the installation: staff and their limits, accounts, brands, doors to other systems, schedules.
ADMIN = MANAGER | frozenset(
    {
        "customers.add_brand",
        "customers.change_brand",
        "customers.add_rolevisibility",
        "customers.change_rolevisibility",
        "customers.delete_rolevisibility",
        "billing.add_approvallimit",
        "billing.change_approvallimit",
        "billing.delete_approvallimit",
        "billing.add_processoraccount",
        "billing.change_processoraccount",
        "integrations.add_endpoint",
        "integrations.change_endpoint",
        "integrations.delete_endpoint",
        "auth.add_user",
        "auth.change_user",
        "auth.add_group",
        "auth.change_group",
        "django_celery_beat.change_periodictask",
    }
)

#: Group → permissions beyond viewing everything of APPS and the Stripe mirror.
ROLES: dict[str, frozenset[str]] = {
    "collector": COLLECTOR,
    "senior": SENIOR,
    "manager": MANAGER,
    "admin": ADMIN,
    "auditor": frozenset(
        {"customers.add_exportrun", "auth.view_user", "auth.view_group", "django_celery_beat.view_periodictask"}
    ),
}


def _wanted(extra: Iterable[str]) -> set[str]:
    views = {
        f"{model._meta.app_label}.view_{model._meta.model_name}"
        for label in (*APPS, "djstripe")
        for model in apps.get_app_config(label).get_models()
    }
    return views | set(extra)


def roles_sync() -> None:
    """Creates the groups and gives each what the map says it lacks. Call it when permissions exist.

    Raises LookupError for a permission the map names and no model has: a typo would lock people out quietly.
    """
    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.values_list("pk", "content_type__app_label", "codename")
    }
    for name, extra in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        wanted = _wanted(extra)
        if missing := sorted(wanted - known.keys()):
            raise LookupError(f"No such permission: {', '.join(missing)}")
        has = set(group.permissions.values_list("pk", flat=True))
        group.permissions.add(*({known[code] for code in wanted} - has))
    limits_sync()
