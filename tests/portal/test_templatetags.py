"""A brand's colour: safe in a style sheet, readable under text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.templatetags.portal import DEFAULT, luminance, readable_on, safe_color


@pytest.mark.parametrize("bad", ["", None, "red", "#fff", "#12345g", "#123456;", "#123456\n"])
def test_what_is_no_colour_becomes_the_default(bad: object) -> None:
    assert safe_color(bad) == DEFAULT


@given(st.integers(0, 0xFFFFFF))
def test_text_on_any_brand_colour_has_contrast_aa(value: int) -> None:
    color = f"#{value:06x}"
    lights = sorted([luminance(color), luminance(readable_on(color))])
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5
