"""Dresses the admin pages of libraries (users, schedules, dj-stripe's mirror) like our own."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django_celery_beat.admin import ClockedScheduleAdmin as BeatClockedScheduleAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BeatCrontabScheduleAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BeatPeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm as BeatPeriodicTaskForm
from django_celery_beat.admin import TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from customers.admin.base import BaseAdmin, ReadOnlyAdmin

for model in (User, Group, PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, BaseAdmin):  # type: ignore[misc, type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser", "groups")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Who manages users gives roles; powers beyond them are a superuser's to give, or anybody could take them.
        own = tuple(super().get_readonly_fields(request, obj))
        return own if request.user.is_superuser else (*own, "is_superuser", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Neither name nor password of a superuser is for others to change.
        above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not above and bool(super().has_change_permission(request, obj))


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, BaseAdmin):  # type: ignore[misc]
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        own = tuple(super().get_readonly_fields(request, obj))
        return own if request.user.is_superuser else (*own, "permissions")


class _TaskWidget(UnfoldAdminSelectWidget, TaskSelectWidget):
    pass


#: Seconds of a unit, and how a schedule in it reads.
_UNITS = (
    (86_400, _("every day"), _("every %(n)s days")),
    (3_600, _("every hour"), _("every %(n)s hours")),
    (60, _("every minute"), _("every %(n)s minutes")),
)


class PeriodicTaskForm(BeatPeriodicTaskForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
        if "regtask" in self.fields:
            self.fields["regtask"].widget = _TaskWidget()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BeatPeriodicTaskAdmin, BaseAdmin):
    form = PeriodicTaskForm
    list_display = ("name", "enabled", "often", "last_run_at", "total_run_count")
    list_select_related = ("interval", "crontab", "solar", "clocked")

    @display(description=_("how often"))
    def often(self, row: PeriodicTask) -> str:
        interval = row.interval
        if interval is None or interval.period != IntervalSchedule.SECONDS:
            return str(row.scheduler)
        seconds = interval.every
        for unit, one, many in _UNITS:
            if seconds % unit == 0:
                return str(one) if seconds == unit else str(many) % {"n": seconds // unit}
        return _now("every %(n)s seconds") % {"n": seconds}


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(BaseAdmin):
    pass


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(BeatCrontabScheduleAdmin, BaseAdmin):
    pass


@admin.register(SolarSchedule)
class SolarScheduleAdmin(BaseAdmin):
    pass


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(BeatClockedScheduleAdmin, BaseAdmin):
    pass


def _mirror_admin(model: Any) -> type[ReadOnlyAdmin]:
    """A read-only page for one table of the mirror: what Stripe holds is changed at Stripe."""
    names = {f.name for f in model._meta.get_fields()}
    columns = ["__str__", *(n for n in ("id", "livemode", "created", "djstripe_updated") if n in names)]
    fields = [f.name for f in model._meta.concrete_fields]

    def has_module_permission(self: ReadOnlyAdmin, request: HttpRequest) -> bool:
        return bool(request.user.has_module_perms("djstripe"))

    return type(
        f"{model.__name__}MirrorAdmin",
        (ReadOnlyAdmin,),
        {
            "list_display": columns[1:] or columns,
            "list_display_links": columns[1:2] or columns,
            "search_exact": ("id",) if "id" in names else (),
            "fields": fields,
            "readonly_fields": fields,
            "ordering": ("-djstripe_created",) if "djstripe_created" in names else ("-pk",),
            "list_select_related": False,
            "tells_of_many": "",
            "has_module_permission": has_module_permission,
        },
    )


def _dress_mirror() -> None:
    """dj-stripe's own admin can write to Stripe and stores API keys; ours shows its rows and nothing more."""
    for model in apps.get_app_config("djstripe").get_models():
        if admin.site.is_registered(model):
            admin.site.unregister(model)
            if model.__name__ not in {"APIKey", "WebhookEndpoint", "IdempotencyKey"}:
                admin.site.register(model, _mirror_admin(model))


_dress_mirror()
