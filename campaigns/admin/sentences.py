"""A ladder step as one sentence people can check: when, what, what if that fails, under which condition.

The same sentence stands on a ladder's page, beside the form while a step is edited, in the comparison of versions and
on a case, so that what a manager reads is what was saved.
"""

from collections.abc import Sequence

from django.utils.dates import WEEKDAYS_ABBR
from django.utils.functional import Promise
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from campaigns.admin.conditions import condition_words
from campaigns.models import Action, EndAction, LadderVersion, OffsetUnit, Step, StepAnchor
from campaigns.models.ladder import Trigger
from customers.models import Channel

#: What a message by this channel is called within a sentence.
CHANNEL: dict[str, Promise] = {
    Channel.EMAIL: gettext_lazy("e-mail"),
    Channel.SMS: gettext_lazy("SMS"),
    Channel.WHATSAPP: gettext_lazy("WhatsApp message"),
    Channel.CALL: gettext_lazy("telephone call"),
    Channel.LETTER: gettext_lazy("letter"),
    Channel.IN_APP: gettext_lazy("notice in the app"),
    Channel.WEBHOOK: gettext_lazy("webhook"),
}
ACTION: dict[str, Promise] = {
    Action.CALL_TASK: gettext_lazy("ask a person to call"),
    Action.NOTIFY_STAFF: gettext_lazy("tell staff"),
    Action.RETRY_NOW: gettext_lazy("charge the card again"),
    Action.LATE_FEE: gettext_lazy("add the late fee"),
    Action.INTEREST: gettext_lazy("add interest"),
    Action.TAG: gettext_lazy("tag the customer"),
    Action.SUSPEND_SERVICE: gettext_lazy("suspend the service"),
    Action.CANCEL_SUBSCRIPTION: gettext_lazy("cancel the subscription"),
    Action.MARK_UNCOLLECTIBLE: gettext_lazy("mark the invoices uncollectible"),
    Action.WRITE_OFF: gettext_lazy("write the debt off"),
    Action.HAND_TO_AGENCY: gettext_lazy("hand to an agency"),
    Action.START_LADDER: gettext_lazy("go on with another ladder"),
}
#: Trigger → what day 0 is.
DAY_ZERO: dict[str, Promise] = {
    Trigger.PAYMENT_FAILED: gettext_lazy("Day 0 is when the oldest unpaid payment failed."),
    Trigger.INVOICE_OVERDUE: gettext_lazy("Day 0 is when the oldest unpaid invoice fell due."),
    Trigger.INVOICE_DUE: gettext_lazy("Day 0 is when the invoice falls due."),
    Trigger.CARD_EXPIRING: gettext_lazy("Day 0 is when the card expires."),
    Trigger.PROMISE_BROKEN: gettext_lazy("Day 0 is when the promise was broken."),
    Trigger.INSTALMENT_MISSED: gettext_lazy("Day 0 is when the instalment was missed."),
    Trigger.RENEWAL_UPCOMING: gettext_lazy("Day 0 is when the subscription renews or the trial ends."),
}


def sentence(step: Step) -> str:
    """For example: "Day 3, 09:00–17:00 customer time, business days: e-mail “Second notice”; if that does not reach
    them: SMS; waits while a retry is due within 24 h."."""
    parts = [_when(step)]
    if hours := _hours(step):
        parts.append(hours)
    if step.window_days and len(set(step.window_days)) < 7:
        parts.append(days(step.window_days))
    if step.business_days:
        parts.append(_("business days"))
    said = [f"{', '.join(parts)}: {_what(step)}"]
    if step.fallback_channels:
        said.append(
            _("if that does not reach them: %(channels)s")
            % {"channels": _(", then ").join(str(CHANNEL.get(c, c)) for c in step.fallback_channels)}
        )
    if clauses := condition_words(step.condition or {}):
        said.append(_("only if %(facts)s") % {"facts": _(" and ").join(clauses)})
    if step.wait_for_retry_hours:
        said.append(_("waits while a retry is due within %(span)s") % {"span": span(step.wait_for_retry_hours)})
    return f"{'; '.join(said)}."


def frame_sentences(version: LadderVersion) -> list[str]:
    """What holds for all of a version's steps, each as a sentence."""
    said = [_("At least %(span)s between two messages.") % {"span": span(version.min_gap_hours)}]
    if version.silent_hours:
        said.append(
            _("Nothing is written in the first %(span)s while the card may still be charged again.")
            % {"span": span(version.silent_hours)}
        )
    if version.pause_after_reply_days:
        said.append(
            ngettext(
                "Rests %(n)d day after the customer replied.",
                "Rests %(n)d days after the customer replied.",
                version.pause_after_reply_days,
            )
            % {"n": version.pause_after_reply_days}
        )
    return said


def end_sentence(version: LadderVersion) -> str:
    """What happens when every step was taken and the debt is still open."""
    after = span(version.end_after_hours)
    if not version.end_actions:
        return _("%(span)s after the last step: the case is closed as lost.") % {"span": after}
    acts = [end_words(action, (version.end_params or {}).get(action) or {}) for action in version.end_actions]
    return _("%(span)s after the last step: %(acts)s; then the case is closed as lost.") % {
        "span": after,
        "acts": get_text_list(acts, _("and")),
    }


def end_words(action: str, params: dict[str, object]) -> str:
    """An end action within a sentence."""
    if action == EndAction.CALL_TASK:
        return _("hand to a person")
    return _with_params(action, params)


def span(hours: int) -> str:
    """A number of hours as people say it: "24 h", "3 days"."""
    if hours >= 48 and hours % 24 == 0:
        return ngettext("%(n)d day", "%(n)d days", hours // 24) % {"n": hours // 24}
    return _("%(n)d h") % {"n": hours}


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


def weekday_choices() -> list[tuple[int, str]]:
    """ISO weekdays with their short names."""
    return [(day, str(WEEKDAYS_ABBR[day - 1])) for day in range(1, 8)]


def _when(step: Step) -> str:
    size = abs(step.offset)
    if step.offset_unit == OffsetUnit.HOURS:
        length = ngettext("%(n)d hour", "%(n)d hours", size) % {"n": size}
    else:
        length = ngettext("%(n)d day", "%(n)d days", size) % {"n": size}
    if step.anchor == StepAnchor.PREVIOUS:
        return _("%(span)s after the step above") % {"span": length} if size else _("Right after the step above")
    if step.anchor == StepAnchor.MONTH_END:
        if not size:
            return _("At the end of the month")
        if step.offset < 0:
            return _("%(span)s before the end of the month") % {"span": length}
        return _("%(span)s after the end of the month") % {"span": length}
    if step.offset_unit == OffsetUnit.DAYS or not size:
        return _("Day %(n)s") % {"n": f"−{size}" if step.offset < 0 else size}
    if step.offset < 0:
        return _("%(span)s before day 0") % {"span": length}
    return _("%(span)s after the start") % {"span": length}


def _hours(step: Step) -> str:
    if step.window_from and step.window_to:
        return _("%(a)s–%(b)s customer time") % {"a": f"{step.window_from:%H:%M}", "b": f"{step.window_to:%H:%M}"}
    if step.window_from:
        return _("from %(a)s customer time") % {"a": f"{step.window_from:%H:%M}"}
    if step.window_to:
        return _("until %(b)s customer time") % {"b": f"{step.window_to:%H:%M}"}
    return ""


def _what(step: Step) -> str:
    if step.action == Action.MESSAGE:
        channel = CHANNEL.get(step.channel, step.channel or "…")
        return _("%(channel)s “%(template)s”") % {"template": step.template or "…", "channel": channel}
    return _with_params(step.action, step.params or {})


def _with_params(action: str, params: dict[str, object]) -> str:
    words = str(ACTION.get(action, action.replace("_", " ") or "…"))
    shown = ", ".join(str(value) for value in params.values() if value not in (None, ""))
    return f"{words} ({shown})" if shown else words
