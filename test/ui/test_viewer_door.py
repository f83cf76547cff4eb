"""Who comes in at the viewer's port: places, names of ours, our own page, and the cookie."""

import socket

import pytest

from safe_locomotion.ui.viewer.door import COOKIE, ESTOP_HEADER, ESTOP_PATH, Door, Rank

OURS = f"{socket.gethostname()}:8080"


class Leaving:
    """Connections that were sent away, in order."""

    def __init__(self):
        self.gone = []

    def of(self, name):
        """What ends the connection of this name."""
        return lambda: self.gone.append(name)


def test_silent_connections_make_room_for_new_ones():
    """The oldest leaves first, one for each new one, and is counted."""
    door = Door("127.0.0.1", places=3)
    leaving = Leaving()
    visitors = [door.enter(leaving.of(k)) for k in range(5)]
    assert leaving.gone == [0, 1] and door.inside == 3 and door.turned_away == 2
    assert None not in visitors


def test_who_speaks_keeps_the_place_and_who_opened_a_socket_goes_later():
    """A flood of silent connections ends none that is used; a full house turns new ones away."""
    door = Door("127.0.0.1", places=3)
    leaving = Leaving()
    page = door.enter(leaving.of("page"))
    assert page.rank is Rank.SILENT and not page.trusted
    page.rank = Rank.SPEAKING
    opened = door.enter(leaving.of("opened"))
    opened.rank = Rank.OPENED
    for k in range(120):
        assert door.enter(leaving.of(k)) is not None
    assert "page" not in leaving.gone and "opened" not in leaving.gone
    assert door.inside == 3
    last = door.enter(leaving.of("last"))
    last.rank = Rank.OPENED
    door.enter(leaving.of("next"))
    assert leaving.gone[-1] == "opened"
    for _ in range(3):
        visitor = door.enter(lambda: None)
        if visitor is not None:
            visitor.rank = Rank.SPEAKING
    assert door.enter(leaving.of("too late")) is None and door.inside == 3
    assert "page" not in leaving.gone


def test_who_has_left_frees_the_place_once():
    """A visitor that was sent away before is no longer there to leave."""
    door = Door("127.0.0.1", places=1)
    leaving = Leaving()
    first = door.enter(leaving.of("first"))
    second = door.enter(leaving.of("second"))
    door.left(first)
    assert door.inside == 1
    door.left(second)
    assert door.inside == 0 and leaving.gone == ["first"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "192.168.1.7:8080", OURS],
)
def test_addresses_and_own_names_are_ours(host):
    """A name server can only lie about names."""
    assert Door("0.0.0.0").refusal(host, "") == ""


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "[::1",
        "1.2.3:80",
        "robot",
        "a@b@localhost.x",
    ],
)
def test_foreign_names_are_refused(host):
    """A page whose name points here cannot use a browser as its arm."""
    assert Door("127.0.0.1").refusal(host, "").startswith("Host:")


def test_more_names_can_be_given():
    """As behind a proxy that speaks TLS."""
    door = Door("127.0.0.1", ("Robot.example",))
    assert door.refusal("robot.example", "https://robot.example") == ""
    assert door.refusal("other.example", "")


@pytest.mark.parametrize(
    ("origin", "comes_in"),
    [
        ("", True),
        ("http://127.0.0.1:8080", True),
        ("https://127.0.0.1:8080", True),
        ("http://127.0.0.1:8081", False),
        ("http://127.0.0.1", False),
        ("http://evil.example", False),
        ("http://127.0.0.1:8080.evil.example", False),
        ("http://evil.example/http://127.0.0.1:8080", False),
        ("null", False),
    ],
)
def test_only_our_own_page_may_call(origin, comes_in):
    """Same host and port; a program that is no browser sends no origin."""
    refusal = Door("127.0.0.1").refusal("127.0.0.1:8080", origin)
    assert (refusal == "") is comes_in and (comes_in or refusal.startswith("Origin:"))


@pytest.mark.parametrize(
    ("path", "header", "stops"),
    [
        (ESTOP_PATH, ESTOP_HEADER, True),
        (ESTOP_PATH, "X-Other", False),
        ("/", ESTOP_HEADER, False),
        (ESTOP_PATH + "x", ESTOP_HEADER, False),
    ],
)
def test_the_stop_of_a_program_needs_its_header(path, header, stops):
    """A foreign page can make a browser ask for an address, but cannot add a header."""
    assert Door.wants_stop(path, {header: "1"}) is stops


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/?token=abc", "abc"),
        ("/?x=1&token=a%20b", "a b"),
        ("/?token=", ""),
        ("/", ""),
        ("/a?token=abc", ""),
    ],
)
def test_the_link_holds_the_token(path, token):
    """Of the page itself, and nothing else."""
    assert Door.token_in(path) == token


def test_the_cookie_is_known_again_by_this_door_only():
    """Another start of the viewer has another one, and broken cookies are none."""
    door = Door("127.0.0.1")
    given = door.set_cookie
    assert "HttpOnly" in given and "SameSite=Strict" in given
    value = given.partition(";")[0]
    assert door.knows(value) and door.knows(f"other=1; {value}")
    assert not Door("127.0.0.1").knows(value)
    for wrong in (
        "",
        f"{COOKIE}=",
        f"{COOKIE}=x",
        value[:-1],
        'a="\\',
        "\0=;;",
        "a@b=1",
        f"{COOKIE}=é",
    ):
        assert not door.knows(wrong)
