"""Chromium for the tests that drive it, with the site live beside it and a Stripe of its own."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests import chromium

#: What a browser would otherwise do by itself: none of it belongs into a test.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@contextlib.contextmanager
def _async_unsafe_allowed() -> Iterator[None]:
    """Playwright's loop counts as running in this thread for as long as it is started, and Django then refuses
    the database here. No coroutine of that loop touches the database, so the refusal protects nothing; it is
    lifted while the browser runs and no longer."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module; without one they fail and say how to get it."""
    path = chromium.executable()
    if path is None:
        pytest.fail("No Chromium found: run `python tests/chromium.py`, or set CHROMIUM to the path of one.")
    with _async_unsafe_allowed(), sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser, live_server: Any) -> Iterator[Any]:
    """Opens pages as a phone sees them (360 × 740) unless told otherwise; fails on a script error, on a broken
    content policy, and on a request to anywhere but this machine."""
    contexts: list[Any] = []
    problems: list[str] = []

    def open_page(*, width: int = 360, height: int = 740, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        page.on(
            "console",
            lambda m: problems.append(f"console: {m.text}") if "Content Security Policy" in m.text else None,
        )
        page.on(
            "request",
            lambda r: (
                None
                if r.url.startswith(("http://127.0.0.1", "http://localhost", "data:", "blob:"))
                else problems.append(f"request: {r.url}")
            ),
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def site(settings: Any, live_server: Any, stripe_world: Any) -> Any:
    """The site at its live address, talking to a sandbox on the wall clock; the sandbox is returned."""
    settings.BASE_URL = live_server.url
    settings.STRIPE_JS_URL = f"{stripe_world.server.url}/v3/"
    settings.STRIPE_TIMEOUT = 10
    stripe_world.server.world.virtual_now = None
    return stripe_world
