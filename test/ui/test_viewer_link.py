"""The link with the token for another device."""

import pytest

from safe_locomotion.ui.viewer.link import for_phones, in_terminal, on_page, with_token

TOKEN = "a token&more"


def test_the_token_is_quoted_in_the_link():
    """A user's own token may hold letters that mean something in an address."""
    assert with_token("http://a:1", TOKEN) == "http://a:1/?token=a%20token%26more"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_a_viewer_of_this_machine_alone_has_no_link_for_phones(host):
    """The page then says how to open the viewer to the network."""
    assert for_phones(host, 8080, TOKEN) == ""
    assert "--viewer-host" in on_page("") and "svg" not in on_page("")


@pytest.mark.parametrize(
    ("host", "begins"),
    [("192.168.7.5", "http://192.168.7.5:81/?token="), ("fd00::5", "http://[fd00::5]:81/?token=")],
)
def test_the_link_names_the_address(host, begins):
    """An IPv6 address stands in brackets."""
    assert for_phones(host, 81, TOKEN).startswith(begins)


def test_a_viewer_of_all_addresses_names_one_that_others_reach():
    """0.0.0.0 itself would mean the phone."""
    link = for_phones("0.0.0.0", 81, TOKEN)
    assert link.startswith("http://") and "0.0.0.0" not in link


def test_the_page_escapes_the_link():
    """A host name is text, not HTML."""
    assert "<b>" not in on_page("http://<b>/?token=x")


def test_the_code_is_drawn_where_its_library_is_installed():
    """A code of a link of 60 letters has some 33 modules a side."""
    pytest.importorskip("segno")
    link = for_phones("192.168.7.5", 8080, TOKEN)
    lines = in_terminal(link).splitlines()
    assert 12 < len(lines) < 30 and "▀" in "".join(lines)
    assert "<svg" in on_page(link)
