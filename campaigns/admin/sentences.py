"""A ladder step as one sentence people can check: when, under which condition, what."""

from collections.abc import Sequence

from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.models import Action, OffsetUnit, Step, StepAnchor
from customers.models import Channel


def sentence(step: Step) -> str:
    """For example: "3 days after the previous step, between 09:00 and 17:00: send “Reminder” by e-mail."."""
    parts = [_when(step)]
    if step.window_days:
        parts.append(_("on %(days)s") % {"days": days(step.window_days)})
    if step.business_days:
        parts.append(_("on a business day"))
    if step.window_from and step.window_to:
        parts.append(_("between %(a)s and %(b)s") % {"a": f"{step.window_from:%H:%M}", "b": f"{step.window_to:%H:%M}"})
    elif step.window_from:
        parts.append(_("from %(a)s") % {"a": f"{step.window_from:%H:%M}"})
    elif step.window_to:
        parts.append(_("until %(b)s") % {"b": f"{step.window_to:%H:%M}"})
    if step.wait_for_retry_hours:
        parts.append(_("not while a retry is planned within %(hours)d hours") % {"hours": step.wait_for_retry_hours})
    if step.condition:
        facts = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in step.condition.items())
        parts.append(_("only if %(facts)s") % {"facts": facts})
    return f"{', '.join(parts)}: {_what(step)}."


def days(isodays: Sequence[int]) -> str:
    """ISO weekdays as people write them: [1, 2, 3, 4, 5, 7] → "Mon–Fri, Sun"."""
    runs: list[list[int]] = []
    for day in sorted(set(isodays)):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    names = [[str(WEEKDAYS_ABBR[day - 1]) for day in run] for run in runs]
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(run) for run in names)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return _("is one of %(values)s") % {"values": " / ".join(map(str, value))}
    if isinstance(value, dict):
        return " ".join(f"{operator.replace('_', ' ')} {_bare(operand)}" for operator, operand in value.items())
    return _("is %(value)s") % {"value": _bare(value)}


def _bare(value: object) -> str:
    return " / ".join(map(str, value)) if isinstance(value, list) else str(value)


def _when(step: Step) -> str:
    if step.offset == 0:
        if step.anchor == StepAnchor.PREVIOUS:
            return _("Right after the previous step")
        return _("At once when the oldest unpaid invoice fails or falls due")
    if step.offset_unit == OffsetUnit.HOURS:
        span = ngettext("%(n)d hour", "%(n)d hours", step.offset) % {"n": step.offset}
    else:
        span = ngettext("%(n)d day", "%(n)d days", step.offset) % {"n": step.offset}
    if step.anchor == StepAnchor.PREVIOUS:
        return _("%(span)s after the previous step") % {"span": span}
    return _("%(span)s after the oldest unpaid invoice failed or fell due") % {"span": span}


def _what(step: Step) -> str:
    if step.action == Action.MESSAGE:
        channel = Channel(step.channel).label if step.channel in Channel.values else step.channel
        return _("send “%(template)s” by %(channel)s") % {"template": step.template, "channel": channel}
    if step.action == Action.CALL_TASK:
        return _("ask a person to call")
    return _("tell staff")
