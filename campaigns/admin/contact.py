"""“May I contact them now?”: the guard's verdicts as badges, by the same check that production runs."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.admin.standing import standing
from campaigns.engine.load import Loaded, load_cases
from campaigns.guard.explain import Explanation, explain_all, summary
from campaigns.guard.words import BASES, CHANNELS
from campaigns.models import Case
from customers.admin.page import Fact
from customers.display import badge, when
from customers.models import Channel

LEVELS = {"ok": "success", "wait": "warning", "stop": "danger"}
_NONE = mark_safe('<span class="sol-muted">–</span>')


def load_verdicts(
    case_ids: Collection[int], now: datetime, channels: Sequence[str] = CHANNELS
) -> dict[int, list[Explanation]]:
    """The verdicts at `now` (aware UTC) by case, for those of `channels` there is an address for.

    A constant number of queries; a customer who cannot be reached at all has the verdict on e-mail, which says so.
    """
    if not case_ids:
        return {}
    return {loaded.snapshot.case_id: _verdicts(loaded, now, channels) for loaded in load_cases(case_ids, now).cases}


def _verdicts(loaded: Loaded, now: datetime, channels: Sequence[str] = CHANNELS) -> list[Explanation]:
    guard = loaded.snapshot.guard
    reached = [name for name in channels if guard.has_address(name)] or list(channels[:1])
    return explain_all(guard, reached, now)


def contact_badge(verdicts: Iterable[Explanation]) -> SafeString:
    """One badge for a list: the kindest verdict, by which channels, or until when."""
    verdicts = list(verdicts)
    best = summary(verdicts)
    if best is None:
        return _NONE
    alike = [Channel(v.channel).label for v in verdicts if v.level == best.level]
    sub = when(best.until) if best.until else ", ".join(map(str, alike)) if best.level == "ok" else best.sentence
    return format_html(
        "{}<span class='sol-sub sol-cut sol-short' title='{}'>{}</span>",
        badge(best.title, LEVELS[best.level]),
        best.sentence,
        sub,
    )


def contact_fact(case: Case, now: datetime) -> Fact | None:
    """The verdict per channel in words: the rule, what it rests on, and when it no longer stands."""
    loaded = standing(case, now)
    verdicts = _verdicts(loaded, now) if loaded is not None else []
    if not verdicts:
        return None
    if len({verdict.sentence for verdict in verdicts}) == 1 and verdicts[0].level == "stop":
        told = format_html("<div class='sol-verdicts'><div>{}</div></div>", _line(verdicts[0], _("on any channel")))
        return Fact(gettext_lazy("Contact now?"), told, 95)
    lines = ((_line(verdict, str(Channel(verdict.channel).label)),) for verdict in verdicts)
    told = format_html("<div class='sol-verdicts'>{}</div>", format_html_join("", "<div>{}</div>", lines))
    return Fact(gettext_lazy("Contact now?"), told, 95)


def verdict_words(verdict: Explanation) -> SafeString:
    """One verdict with its reason, as beside the form of the act it is about."""
    return format_html(
        "{} <span>{}</span>{}",
        badge(verdict.title, LEVELS[verdict.level]),
        verdict.sentence,
        format_html("<span class='sol-sub'>{}</span>", verdict.source) if verdict.source else "",
    )


def _line(verdict: Explanation, channel: str) -> SafeString:
    if verdict.level == "ok":
        words = _("Rests on: %(source)s") % {"source": verdict.source} if verdict.source else ""
        return format_html("<span title='{}'>{} {}</span>", words, badge(verdict.title, LEVELS["ok"]), channel)
    basis = BASES.get(verdict.basis, "")
    own = _(" (own rules)") if verdict.own else ""
    rests_on = format_html("<span class='sol-sub'>{} {}</span>", badge(f"{basis}{own}"), verdict.source)
    source = rests_on if verdict.source else ""
    return format_html(
        "<details><summary>{} {}</summary><span class='sol-sub'>{}</span>{}<code class='sol-sub'>{}</code></details>",
        badge(verdict.title, LEVELS[verdict.level]),
        channel,
        verdict.sentence,
        source,
        verdict.rule,
    )
