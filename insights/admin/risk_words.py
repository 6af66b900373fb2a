"""Says reasons, ratings and advice in the reader's words."""

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from insights.risk.advice import Advice


def reason_words(code: str, figures: Sequence[float]) -> str:
    """What a reason was read from; codes are those of insights.risk.reasons."""
    one, other = (*figures, 0, 0)[:2]
    if code == "late":
        return _("%(late)d of %(known)d invoices were paid late") % {"late": one, "known": other}
    if code == "days":
        if one > 0:
            return ngettext("It pays %(n)d day after the due date on average",
                            "It pays %(n)d days after the due date on average", int(one)) % {"n": one}  # fmt: skip
        return ngettext("It pays %(n)d day before the due date on average",
                        "It pays %(n)d days before the due date on average", int(-one)) % {"n": -one}  # fmt: skip
    if code == "tenure":
        return ngettext("%(n)d invoice is behind us", "%(n)d invoices are behind us", int(one)) % {"n": one}
    if code == "overdue":
        return ngettext("%(n)d invoice is overdue now", "%(n)d invoices are overdue now", int(one)) % {"n": one}
    if code == "open":
        return ngettext("%(n)d invoice is open now", "%(n)d invoices are open now", int(one)) % {"n": one}
    if code == "terms":
        return ngettext("%(n)d day to pay", "%(n)d days to pay", int(one)) % {"n": one}
    if code == "disputes":
        return ngettext("%(n)d invoice was disputed", "%(n)d invoices were disputed", int(one)) % {"n": one}
    if code == "declines":
        return _("%(declined)d of %(charges)d charges were declined") % {"declined": one, "charges": other}
    if code == "broken":
        return ngettext("%(n)d promise was broken", "%(n)d promises were broken", int(one)) % {"n": one}
    return {
        "amount": _("The amount, beside other customers' invoices"),
        "unusual": _("The amount, beside this customer's other invoices"),
    }.get(code, code)


def rating_words(rating: str, counts: Mapping[str, int]) -> str:
    """What a rating was counted from."""
    if not counts:
        return ""
    return _(
        "in 12 months %(late)d of %(invoices)d invoices late, %(declined)d of %(charges)d charges declined,"
        " %(broken)d promises broken"
    ) % dict(counts)


def advice_words(advice: Advice) -> str:
    """One piece of advice as a sentence."""
    return {
        Advice.DEPOSIT: _("Ask for a deposit, or payment in advance, for what is ordered next."),
        Advice.SHORTER: _("Give shorter terms: seven days instead of what is agreed now."),
        Advice.NO_CREDIT: _("Deliver nothing more on account until what is overdue is paid."),
        Advice.REMIND: _("Remind before the due date: two in ten or more of its invoices come late."),
        Advice.PART_NOW: _("Take a promise only with a part paid at once: earlier ones were broken."),
        Advice.SECOND_METHOD: _("Ask for a second payment method: many charges are declined."),
        Advice.GENEROUS: _("Be generous: wait a week longer before the first firm message, and offer longer terms."),
        Advice.AS_IS: _("Nothing asks for other terms than those agreed."),
        Advice.WAIT: _("Too little is known to change terms."),
    }[advice]
