import pytest

from customers.addresses import normalise


@pytest.mark.parametrize(
    ("channel", "address", "country", "expected"),
    [
        ("email", " Anna.Rossi@Example.COM ", "", "anna.rossi@example.com"),
        ("email", "info@BÜCHER.example", "", "info@xn--bcher-kva.example"),
        ("email", "zażółć@żółw.pl", "", "zażółć@xn--w-uga1v8h.pl"),
        ("email", "no address", "", "no address"),
        ("email", "x@-bad-.example", "", "x@-bad-.example"),
        ("sms", "333 123 4567", "IT", "+393331234567"),
        ("call", "+39 02 1234567", "", "+39021234567"),
        ("whatsapp", "0044 20 7946 0018", "IT", "+442079460018"),
        ("sms", "333 123 4567", "", "333 123 4567"),
        ("letter", " Via Roma 1 ", "IT", "via roma 1"),
    ],
)
def test_one_spelling(channel: str, address: str, country: str, expected: str) -> None:
    assert normalise(channel, address, country) == expected
    assert normalise(channel, expected, country) == expected
