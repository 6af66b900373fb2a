"""Who the demo's customers are: names, countries, cards and tempers, drawn from a seed."""

from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Country:
    """Where a customer lives; `share` is the weight among all, `languages` what they read."""

    code: str
    share: int
    currency: str
    timezone: str
    locale: str
    first: tuple[str, ...]
    last: tuple[str, ...]
    companies: tuple[str, ...]


COUNTRIES = (
    Country(
        "IT", 26, "eur", "Europe/Rome", "it",
        ("Giulia", "Marco", "Francesca", "Alessandro", "Chiara", "Lorenzo", "Sofia", "Matteo", "Elena", "Davide",
         "Ludovica", "Niccolò"),
        ("Rossi", "Bianchi", "Ferrari", "Esposito", "Romano", "Colombo", "Ricci", "Marino", "Greco", "D'Angelo",
         "Della Valle", "Caruso"),
        ("Officine {0} S.r.l.", "Studio {0} & Associati", "{0} Arredamenti S.n.c.", "Panificio {0}"),
    ),
    Country(
        "DE", 16, "eur", "Europe/Berlin", "de",
        ("Anna", "Lukas", "Lena", "Felix", "Marie", "Jonas", "Laura", "Paul", "Jürgen", "Käthe"),
        ("Müller", "Schmidt", "Weber", "Fischer", "Wagner", "Becker", "Hoffmann", "Schäfer", "Groß", "Köhler"),
        ("{0} Maschinenbau GmbH", "Steuerkanzlei {0} PartG mbB", "{0} & Söhne KG", "Autohaus {0} GmbH"),
    ),
    Country(
        "FR", 12, "eur", "Europe/Paris", "fr",
        ("Camille", "Hugo", "Léa", "Louis", "Manon", "Jules", "Chloé", "Étienne", "Zoé", "Gaël"),
        ("Martin", "Bernard", "Dubois", "Lefèvre", "Moreau", "Laurent", "Simon", "Michel", "Garcia", "Bénard"),
        ("Atelier {0} SARL", "Cabinet {0}", "Boulangerie {0}", "{0} Conseil SAS"),
    ),
    Country(
        "ES", 8, "eur", "Europe/Madrid", "es",
        ("Lucía", "Hugo", "María", "Pablo", "Paula", "Álvaro", "Carmen", "Íñigo"),
        ("García", "Fernández", "López", "Martínez", "Sánchez", "Pérez", "Núñez", "Ibáñez"),
        ("Talleres {0} S.L.", "Asesoría {0}", "Bodegas {0} S.A."),
    ),
    Country(
        "PL", 8, "eur", "Europe/Warsaw", "pl",
        ("Zofia", "Jakub", "Małgorzata", "Szymon", "Agnieszka", "Paweł", "Łucja", "Wojciech"),
        ("Nowak", "Kowalczyk", "Wiśniewska", "Wójcik", "Lewandowska", "Zieliński", "Szczęśniak",
         "Brzęczyszczykiewicz"),
        ("Przedsiębiorstwo Handlowo-Usługowe {0} Sp. z o.o.", "{0} i Wspólnicy sp.j.", "Biuro Rachunkowe {0}"),
    ),
    Country(
        "GB", 10, "usd", "Europe/London", "en",
        ("Olivia", "George", "Amelia", "Harry", "Isla", "Oliver", "Poppy", "Callum"),
        ("Smith", "Jones", "Taylor", "Brown", "O'Neill", "Evans", "Ashworth-Featherstonehaugh", "Khan"),
        ("{0} & Co Ltd", "{0} Consulting LLP", "The {0} Bakery"),
    ),
    Country(
        "US", 16, "usd", "America/New_York", "en",
        ("Emma", "Liam", "Ava", "Noah", "Mia", "Ethan", "Harper", "Mason", "Xiomara", "DeShawn"),
        ("Johnson", "Williams", "Davis", "Miller", "Rodriguez", "Nguyen", "Anderson", "Thompson", "Lee", "Clark"),
        ("{0} Analytics Inc.", "{0} Dental Group", "{0} Brothers LLC", "{0} Logistics Corp."),
    ),
    Country(
        "JP", 6, "jpy", "Asia/Tokyo", "en",
        ("Haruto", "Yui", "Sota", "Hina", "Ren", "Aoi"),
        ("Satō", "Suzuki", "Takahashi", "Tanaka", "Watanabe", "Itō"),
        ("{0} Shōkai K.K.", "{0} Design G.K."),
    ),
)  # fmt: skip

_AMERICAN_ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")

#: Country → mobile number's beginning, a street, and towns with their postcodes.
_PLACES: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = {
    "IT": ("+39347550", "Via Garibaldi {0}", (("20121", "Milano"), ("00184", "Roma"), ("10121", "Torino"))),
    "DE": ("+491515550", "Lindenstraße {0}", (("10969", "Berlin"), ("80331", "München"), ("20095", "Hamburg"))),
    "FR": ("+3361234", "{0} rue Victor Hugo", (("69002", "Lyon"), ("75011", "Paris"), ("33000", "Bordeaux"))),
    "ES": ("+3461234", "Calle Mayor {0}", (("28013", "Madrid"), ("08002", "Barcelona"), ("46003", "Valencia"))),
    "PL": ("+4851234", "ul. Długa {0}", (("31-147", "Kraków"), ("00-238", "Warszawa"), ("80-827", "Gdańsk"))),
    "GB": ("+44740012", "{0} Mill Lane", (("LS1 4AP", "Leeds"), ("EC1A 1BB", "London"), ("BS1 4DJ", "Bristol"))),
    "US": ("+1202555", "{0} Oak Street", (("20001", "Washington"), ("60601", "Chicago"), ("80202", "Denver"))),
    "JP": ("+8190123", "1-{0} Sakura-dori", (("100-0001", "Tokyo"), ("530-0001", "Osaka"))),
}

#: How a card's bank behaves → weight among all cards, and the chance that its owner acts on any one mail.
#: Three in five cards simply work; the mix of the rest follows the decline reasons acquirers report
#: (insufficient funds and do-not-honor are three quarters of declines).
CARDS: tuple[tuple[str, int, float], ...] = (
    ("always_ok", 62, 0.0),
    ("payday", 13, 0.08),
    ("do_not_honor", 8, 0.16),
    ("expires", 5, 0.36),
    ("lost", 3, 0.32),
    ("technical", 3, 0.10),
    ("velocity", 2, 0.12),
    ("authentication", 2, 0.30),
    ("broke", 2, 0.05),
)


@dataclass(frozen=True, slots=True)
class Person:
    """One customer of the demo."""

    index: int
    name: str
    contact: str
    email: str
    country: Country
    timezone: str
    business: bool
    card: str
    plans: tuple[tuple[str, str], ...]
    joined_days_ago: int
    #: Probability of acting on any one mail, and typical hours until then.
    responds: float
    hours: float
    #: Fixes it in the portal, or on the processor's own page linked in the mail.
    prefers_portal: bool
    #: "" for those who gave no number; their street is known for companies.
    phone: str = ""
    address: tuple[tuple[str, str], ...] = ()
    #: Days until an invoice is due, of companies that pay by transfer; None: by card.
    terms: int | None = None
    #: Days from an invoice's due date to the day they mean to pay it; None: when somebody asks for it.
    pays_after: float | None = None


PLANS = {"starter": 1, "team": 3, "business": 9}
#: Price of the smallest plan per month, in minor units.
BASE_PRICE = {"eur": 1900, "usd": 2100, "jpy": 3000}


def draw(rng: Random, count: int) -> list[Person]:
    """`count` customers; the same for the same state of `rng`."""
    people = []
    for index in range(count):
        country = rng.choices(COUNTRIES, [c.share for c in COUNTRIES])[0]
        first, last = rng.choice(country.first), rng.choice(country.last)
        business = rng.random() < 0.55
        card, _, fixes = rng.choices(CARDS, [weight for _, weight, _ in CARDS])[0]
        plans = [(rng.choices(list(PLANS), [5, 4, 2])[0], "year" if rng.random() < 0.2 else "month")]
        plans += [("addon", "month")] * rng.choices([0, 1, 2], [65, 25, 10])[0]
        email = f"{_ascii(first)}.{_ascii(last)}.{index}@example.com"
        people.append(
            Person(
                **_reached(country.code, email, index, business),
                index=index,
                name=rng.choice(country.companies).format(last) if business else f"{first} {last}",
                contact=f"{first} {last}",
                country=country,
                timezone=rng.choice(_AMERICAN_ZONES) if country.code == "US" else country.timezone,
                business=business,
                card=card,
                plans=tuple(plans),
                joined_days_ago=rng.randrange(40, 700),
                responds=fixes,
                hours=rng.lognormvariate(2.6, 1.0),
                prefers_portal=rng.random() < 0.7,
            )
        )
    return people


def _reached(country: str, email: str, index: int, business: bool) -> dict[str, Any]:
    """How a person is reached and pays, drawn apart: what is added here changes nobody's name or card."""
    own = Random(f"reached/{email}")
    mobile, street, towns = _PLACES[country]
    postcode, town = own.choice(towns)
    address = (("line1", street.format(own.randrange(1, 120))), ("postal_code", postcode), ("city", town))
    # Numbers of America's kept for fiction: 555-0100 to 555-0199.
    number = f"{mobile}01{index % 100:02d}" if country == "US" else f"{mobile}{index:04d}"
    terms = own.choice([14, 30]) if business and own.random() < 0.16 else None
    mood = own.random()
    return {
        # A dead mailbox is found out at the first mail.
        "email": f"bounce-{email}" if own.random() < 0.02 else email,
        "phone": number if own.random() < 0.65 else "",
        "address": address if business or own.random() < 0.3 else (),
        "terms": terms,
        "pays_after": own.uniform(-9, 0) if mood < 0.5 else own.uniform(1, 16) if mood < 0.8 else None,
    }


def _ascii(name: str) -> str:
    import unicodedata

    plain = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("Ł", "L").replace("ß", "ss"))
    return "".join(c for c in plain.lower() if c.isascii() and c.isalnum())
