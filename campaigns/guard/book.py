"""Owns which rules apply to whom: country, kind of customer, brand, and managers' own rules over the shipped ones.

From the general to the special, each saying more than the one before: the default, the base a policy extends (the
EU's for its members), the country's own, that of brands which collect for others; of each first what is shipped, then
managers' rules for all brands, then those for one brand. A channel's rules come whole from the last that speaks of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from campaigns.guard.policy import DEFAULT, EU, ChannelRules, General, Policy, PolicyFile, Version, shipped
from campaigns.guard.zones import zone
from customers.errors import SollecitoError

#: The European Economic Area: its members without a policy of their own have the EU's.
EEA = frozenset(
    {
        "at", "be", "bg", "cy", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hr", "hu", "ie", "is", "it", "li",
        "lt", "lu", "lv", "mt", "nl", "no", "pl", "pt", "ro", "se", "si", "sk",
    }
)  # fmt: skip
#: After a country's code: the policy of brands that collect debts owed to others.
COLLECTOR = "-collector"
_KEPT = 8192


@dataclass(frozen=True, slots=True)
class Override:
    """A manager's own rules for one policy, of all brands (`brand_id` 0) or one."""

    brand_id: int
    version: Version | None
    code: str
    valid_from: date
    #: Why it could not be read; `version` is None then.
    unreadable: str = ""


class PolicyBook:
    """The shipped policies and managers' own, at one moment. Never changed once made, so snapshots may hold it."""

    def __init__(self, files: Mapping[str, PolicyFile], overrides: Iterable[Override] = ()) -> None:
        self._files = files
        self._overrides: dict[tuple[str, int], list[Override]] = {}
        for item in sorted(overrides, key=lambda item: item.valid_from, reverse=True):
            self._overrides.setdefault((item.code, item.brand_id), []).append(item)
        self._brands = {brand_id for _code, brand_id in self._overrides}
        self._found: dict[tuple[object, ...], Policy] = {}
        self._days: dict[tuple[object, ...], Policy] = {}

    def policy_for(
        self,
        country: str,
        now: datetime,
        zone_name: str = "UTC",
        *,
        kind: str = "consumer",
        collector: bool = False,
        brand_id: int = 0,
    ) -> Policy:
        """The rules for customers of `kind` in `country` (ISO 3166, two letters, may be empty) on the local date of
        `now`, written to by a brand that collects its own debts or, with `collector`, others'."""
        # A batch asks for one moment and few places: this answers all but the first of each.
        key = (country, now, zone_name, kind, collector, brand_id)
        policy = self._found.get(key)
        if policy is None:
            if len(self._found) > _KEPT:
                self._found.clear()
            day = now.astimezone(zone(zone_name)).date()
            policy = self._found[key] = self.on(country, day, kind=kind, collector=collector, brand_id=brand_id)
        return policy

    def on(
        self, country: str, day: date, *, kind: str = "consumer", collector: bool = False, brand_id: int = 0
    ) -> Policy:
        """As policy_for, on a local date."""
        key = (country, day, kind, collector, brand_id if brand_id in self._brands else 0)
        policy = self._days.get(key)
        if policy is None:
            if len(self._days) > _KEPT:
                self._days.clear()
            code = self.code_for(country, collector=collector)
            policy = self._days[key] = self.resolve(code, day, kind, brand_id)
        return policy

    def code_for(self, country: str, *, collector: bool = False) -> str:
        """Code of the most special policy there is for a country."""
        code = country.lower()
        known = {*self._files, *(own for own, _brand in self._overrides)}
        if collector and code + COLLECTOR in known:
            return code + COLLECTOR
        if code in known and code != EU:
            return code
        return EU if code in EEA else DEFAULT

    def chain(self, code: str) -> list[str]:
        """Codes from the special to the default."""
        found = [code]
        while found[-1] != DEFAULT:
            found.append(self._base(found[-1]))
        return found

    def _base(self, code: str) -> str:
        file = self._files.get(code)
        if file is not None:
            return file.extends
        return EU if code in EEA else DEFAULT  # a country only a manager wrote rules for

    def layers(self, code: str, day: date, brand_id: int = 0) -> Iterator[Version | Override]:
        """What applies, from the general to the special; an Override where it cannot be read."""
        for name in reversed(self.chain(code)):
            file = self._files.get(name)
            if file is not None and (version := file.on(day)) is not None:
                yield version
            for brand in (0, brand_id) if brand_id else (0,):
                own = next((o for o in self._overrides.get((name, brand), ()) if o.valid_from <= day), None)
                if own is not None:
                    yield own.version or own

    def resolve(self, code: str, day: date, kind: str, brand_id: int = 0) -> Policy:
        """The rules of one policy by its code."""
        channels: dict[str, ChannelRules] = {}
        general: General | None = None
        unreadable = ""
        for layer in self.layers(code, day, brand_id):
            if isinstance(layer, Override):
                unreadable = layer.unreadable
                continue
            channels |= layer.channels
            general = layer.general or general
            if kind == "business":
                channels |= layer.business_channels
                general = layer.business_general or general
        if general is None:
            raise SollecitoError(f"No default policy is in force on {day}.", code="guard_policy_missing")
        return Policy(code, channels, general, unreadable)


#: The policies as shipped, without managers' own.
SHIPPED = PolicyBook(shipped())
