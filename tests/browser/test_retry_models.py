"""A manager looks at a retry model, tab by tab, and switches it on."""

import os
from typing import Any

import pytest

from billing.models import RetryModel
from billing.retries import STRATEGIES
from tests import factories
from tests.billing.retries.champion.world import stored
from tests.billing.test_admin_retry_models import FIGURES
from tests.browser.door import enter

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_manager_reads_how_well_a_model_foretells_and_promotes_it(
    open_page: Any, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STRATEGIES._homes, "learned", "tests.billing.retries.champion.world:Approvals")
    factories.staff("manager", "mara")
    old, new = stored(), stored(RetryModel.State.CANDIDATE, figures=FIGURES)
    page = open_page(width=1024, height=900)
    enter(page, f"{live_server.url}/admin/login/?next=/admin/billing/retrymodel/", "mara")
    page.click(f'#result_list a[href*="/{new.pk}/change/"]')

    for tab, told in {
        "quality": "0.5100",
        "drift": "No charge that this model planned",
        "beliefs": "approved",
    }.items():
        page.goto(f"{live_server.url}/admin/billing/retrymodel/{new.pk}/change/?section={tab}")
        page.wait_for_selector(f"text={told}")
        if tab == "quality":
            assert page.locator('svg[role="img"] circle').count() == 2
        if shots := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{shots}/model-{tab}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab

    page.click(f'a[href*="/{new.pk}/do/promote/"]')
    page.fill("textarea[name=reason]", "Better on what was kept back.")
    page.click("form.sol-form button[type=submit]")
    page.wait_for_selector("text=It plans retries from now on.")
    new.refresh_from_db()
    old.refresh_from_db()
    assert (new.state, old.state) == (RetryModel.State.CHAMPION, RetryModel.State.RETIRED)
