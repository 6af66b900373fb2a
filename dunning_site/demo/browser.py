"""A customer's browser in the demo: walks the portal's pages and posts what their scripts would."""

import re
from typing import Any

import requests
from django.conf import settings

_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Browser:
    """A customer's browser; what the page's and the processor's scripts would post is posted by hand."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, url: str) -> requests.Response:
        return self._session.get(url, timeout=60)

    def new_card(self, portal: str, number: str) -> bool:
        """Walks the card form as the page's script does; True when the portal took the card over."""
        page = self.get(f"{portal}card/")
        token = _CSRF.search(page.text)
        if page.status_code != 200 or token is None:
            return False
        form = {"csrfmiddlewaretoken": token.group(1)}
        intent = self._session.post(f"{portal}card/intent/", data=form, timeout=60)
        if intent.status_code != 200:
            return False
        confirmed = self._confirm(intent.json()["client_secret"], number)
        if confirmed.get("status") != "succeeded":
            return False
        done = self._session.post(f"{portal}card/done/", data=form | {"setup_intent": confirmed["id"]}, timeout=60)
        return done.status_code == 200

    def _confirm(self, client_secret: str, number: str) -> dict[str, Any]:
        setup_intent = client_secret.split("_secret_")[0]
        answer = self._session.post(
            f"{settings.STRIPE_API_BASE}/v1/setup_intents/{setup_intent}/confirm",
            headers={"Authorization": f"Bearer {settings.STRIPE_PUBLISHABLE_KEY}"},
            data={
                "client_secret": client_secret,
                "payment_method_data[type]": "card",
                "payment_method_data[card][number]": number,
                "payment_method_data[card][exp_month]": "12",
                "payment_method_data[card][exp_year]": "2034",
                "payment_method_data[card][cvc]": "123",
            },
            timeout=60,
        )
        body: dict[str, Any] = answer.json()
        return body
