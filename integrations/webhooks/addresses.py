"""Owns where we may call: public https addresses only, and the very address that was checked.

An address typed by a manager must not make this server speak to itself, to the database's network or to a cloud's
metadata service. The name is resolved once; the connection goes to the checked number, so that a name which changes
its number in between (DNS rebinding) changes nothing.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from customers.errors import SollecitoError


class AddressRefused(SollecitoError):
    """The address may not be called."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="address_refused")


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address: `ip` is what is connected to, `host` what is asked for and certified."""

    scheme: str
    host: str
    port: int
    ip: str
    path: str


def check_url(url: str) -> None:
    """Raises AddressRefused for a form of address we never call; does not resolve the name."""
    _parts(url)


def resolve(url: str) -> Target:
    """The checked target of `url`. Raises AddressRefused, or OSError if the name cannot be resolved."""
    scheme, host, port, path = _parts(url)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ips = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    # One bad number among good ones is enough: which of them is used would be chance.
    for ip in ips:
        if not _may_call(ip):
            raise AddressRefused(_("%(host)s leads into a private network.") % {"host": host})
    return Target(scheme, host, port, ips[0], path)


def _parts(url: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused(_("This is no address.")) from error
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host:
        raise AddressRefused(_("This is no address."))
    if parts.username or parts.password:
        raise AddressRefused(_("An address holds no password; the signature proves who calls."))
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        literal = None
    allowed = literal is not None and _in_allowed(literal)
    if parts.scheme == "http" and not allowed:
        raise AddressRefused(_("Only https is called."))
    if literal is not None and not _may_call(str(literal)):
        raise AddressRefused(_("%(host)s leads into a private network.") % {"host": host})
    if literal is None and ("." not in host or host.endswith((".local", ".internal", ".localhost"))):
        raise AddressRefused(_("%(host)s leads into a private network.") % {"host": host})
    path = parts.path or "/"
    return (
        parts.scheme,
        host,
        port or (443 if parts.scheme == "https" else 80),
        (f"{path}?{parts.query}" if parts.query else path),
    )


def _may_call(ip: str) -> bool:
    address = ipaddress.ip_address(ip.partition("%")[0])
    if _in_allowed(address):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        # Numbers that stand for an IPv4 one are judged as that one.
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _may_call(str(inner))
    return address.is_global and not address.is_multicast


def _in_allowed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(
        address in network
        for network in map(ipaddress.ip_network, settings.WEBHOOK_ALLOWED_NETWORKS)
        if network.version == address.version
    )
