"""How people come into the back office."""

from typing import Any


def enter(page: Any, address: str, name: str) -> None:
    """Opens an address as somebody who is not logged in yet (tests.factories.staff): it asks who they are first."""
    page.goto(address)
    page.fill("#id_username", name)
    page.fill("#id_password", "a-long-password")
    page.click("button[type=submit]")
