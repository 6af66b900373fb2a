import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("wish", ["de", "pl", "it", "en"])
def test_the_back_office_is_in_one_language_whatever_the_browser_asks_for(client: Client, wish: str) -> None:
    page = client.get("/admin/login/", headers={"accept-language": wish}).content.decode()
    assert 'lang="en' in page
    assert "Log in" in page


def test_the_installation_chooses_it(client: Client, settings: object) -> None:
    settings.LANGUAGE_CODE = "de"  # type: ignore[attr-defined]
    page = client.get("/admin/login/", headers={"accept-language": "en"}).content.decode()
    assert 'lang="de' in page
