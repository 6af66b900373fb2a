"""Owns contact rules as plain values and in words: what forms edit, files hold, differences and tables show. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.guard.hours import Hours, Span
from campaigns.guard.policy import GENERAL_RULES, RULES, ChannelRules, General, Ground, Policy, PolicyFile
from customers.models import Channel

#: The channels rules are written for, in the order people think of them.
CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.WHATSAPP, Channel.CALL, Channel.LETTER)
LABELS: Mapping[str, Any] = {
    "open": gettext_lazy("Hours"),
    "min_gap_hours": gettext_lazy("Least hours between two"),
    "per_day": gettext_lazy("At most in a day"),
    "per_week": gettext_lazy("At most in seven days"),
    "per_month": gettext_lazy("At most in thirty days"),
    "after_call_hours": gettext_lazy("Hours of peace after a talk by telephone"),
    "after_talk_hours": gettext_lazy("Hours of peace after any conversation"),
    "in_every_zone": gettext_lazy("Zone unknown: open in all of the country's"),
    "consent": gettext_lazy("Consent"),
    "one_click": gettext_lazy("One-click way out"),
    "texts": gettext_lazy("Must carry"),
}
BASES: Mapping[str, Any] = {
    "law": gettext_lazy("law"),
    "regulator": gettext_lazy("regulator's guideline"),
    "code": gettext_lazy("code of conduct or terms"),
    "house": gettext_lazy("house rule"),
}
CONSENTS: Mapping[str, Any] = {
    "opt_out": gettext_lazy("until refused"),
    "opt_in": gettext_lazy("only if allowed"),
}
TEXTS: Mapping[str, Any] = {
    "sender_name": gettext_lazy("the sender's name"),
    "postal_address": gettext_lazy("the postal address"),
    "opt_out_notice": gettext_lazy("how to refuse more"),
    "collector_notice": gettext_lazy("that it is from a debt collector"),
}
DAYS: Mapping[str, Any] = {
    "weekdays": gettext_lazy("Monday to Friday"),
    "saturday": gettext_lazy("Saturday"),
    "sunday": gettext_lazy("Sunday"),
    "holiday": gettext_lazy("Public holidays"),
}


def spans_raw(spans: tuple[Span, ...] | None) -> list[str] | None:
    """Spans as files hold them."""
    return None if spans is None else [str(span).replace("–", "-") for span in spans]


def raw_channel(rules: ChannelRules) -> dict[str, Any]:
    """A channel's rules as files hold them: the inverse of policy.channel_rules."""
    found: dict[str, Any] = {"basis": rules.basis, "source": rules.source}
    if rules.hours is not None:
        days = {day: spans_raw(getattr(rules.hours, day)) for day in DAYS}
        found["open"] = {day: spans for day, spans in days.items() if spans is not None}
    for name in RULES:
        if name == "open":
            continue
        value = getattr(rules, name)
        if value and (name, value) != ("consent", "opt_out"):
            found[name] = list(value) if name == "texts" else value
    if rules.because:
        found["because"] = {name: {"basis": g.basis, "source": g.source} for name, g in rules.because.items()}
    return found


def raw_general(general: General) -> dict[str, Any]:
    """What holds for all channels together as files hold it."""
    numbers = {name: getattr(general, name) for name in GENERAL_RULES}
    return {
        "basis": general.basis,
        "source": general.source,
        **{name: value for name, value in numbers.items() if value},
    }


def value_words(rules: ChannelRules | General, name: str) -> str:
    """One rule's value as people read it; a dash for none."""
    if name == "open":
        return hours_words(rules.hours) if isinstance(rules, ChannelRules) else "–"
    value = getattr(rules, name)
    if name == "consent":
        return str(CONSENTS[value])
    if name == "texts":
        return ", ".join(str(TEXTS[code]) for code in value) or "–"
    if isinstance(value, bool):
        return _("yes") if value else "–"
    return str(value) if value else "–"


def hours_words(hours: Hours | None) -> str:
    """Contact hours in one line, days with the same hours together."""
    if hours is None:
        return _("any time")
    days = [(label, getattr(hours, day)) for day, label in DAYS.items() if getattr(hours, day) is not None]
    parts: list[tuple[list[str], tuple[Span, ...]]] = []
    for label, spans in days:
        if parts and parts[-1][1] == spans:
            parts[-1][0].append(str(label))
        else:
            parts.append(([str(label)], spans))
    return "; ".join(
        f"{', '.join(labels)}: {', '.join(map(str, spans)) if spans else _('none')}" for labels, spans in parts
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """One rule that is not the same on both sides, in words."""

    where: str
    rule: str
    before: str
    after: str
    ground: Ground


def differences(before: Policy, after: Policy) -> list[Difference]:
    """What `after` changes of `before`, channel by channel."""
    return list(_differences(before, after))


def _differences(before: Policy, after: Policy) -> Iterator[Difference]:
    for channel in CHANNELS:
        old, new = before.rules(channel), after.rules(channel)
        for name in RULES:
            told = value_words(old, name), value_words(new, name)
            if told[0] != told[1]:
                yield Difference(str(channel.label), str(LABELS[name]), *told, new.ground(name))
    for name in GENERAL_RULES:
        told = value_words(before.general, name), value_words(after.general, name)
        if told[0] != told[1]:
            ground = Ground(after.general.source, after.general.basis)
            yield Difference(_("All channels"), str(LABELS[name]), *told, ground)


def markdown(files: Mapping[str, PolicyFile]) -> str:
    """The shipped policies as the table in docs/guard.md: one row per policy and channel that it speaks of itself."""
    lines = [
        "| Policy | Channel | Local hours | Limits | Consent | Rests on |",
        "|---|---|---|---|---|---|",
    ]
    for code, file in files.items():
        newest = file.versions[0]
        for kind, channels in (("", newest.channels), (" (businesses)", newest.business_channels)):
            for name in (channel.value for channel in CHANNELS if channel.value in channels):
                rules = channels[name]
                limits = "; ".join(
                    f"{LABELS[rule]}: {value_words(rules, rule)}"
                    for rule in RULES
                    if rule not in ("open", "consent") and value_words(rules, rule) != "–"
                )
                cells = (
                    f"{file.title} `{code}`, since {newest.valid_from}{kind}",
                    str(Channel(name).label),
                    value_words(rules, "open"),
                    limits or "–",
                    value_words(rules, "consent"),
                    _grounds(rules),
                )
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _grounds(rules: ChannelRules) -> str:
    told = [f"{rules.basis}: {rules.source}"]
    told += [f"{LABELS[name]}: {ground.basis}: {ground.source}" for name, ground in rules.because.items()]
    return "<br>".join(told)
