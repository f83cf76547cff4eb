"""The link with the token, for another device: as text, and as a QR code where segno is installed.

The link names an address of this machine, because a phone seldom knows its name. A viewer that
listens on this machine alone has no such link.
"""

import socket
from html import escape
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import Any
from urllib.parse import quote, urlsplit

SEGNO = "segno"  #: the library that draws QR codes
LOOPBACK = ("127.", "localhost", "::1")
ELSEWHERE = "192.0.2.1"  #: an address of nobody (RFC 5737); it only selects the way out of here
MISSING = "pip install segno shows this link as a QR code"
UNREACHABLE = (
    "The viewer listens on this machine alone. Start it with --viewer-host 0.0.0.0, or with"
    " viewer_host:=0.0.0.0 on a robot, and a phone finds a QR code here."
)


def with_token(address: str, token: str) -> str:
    """The link that unlocks the page."""
    return f"{address}/?token={quote(token, safe='')}"


def for_phones(host: str, port: int, token: str) -> str:
    """The link for another device; empty for a viewer that listens on this machine alone.

    Args:
        host: that the viewer listens on.
        port: that it listens on.
        token: of the viewer.
    """
    if host.startswith(LOOPBACK):
        return ""
    name = host if host not in ("0.0.0.0", "::", "") else own_address()
    named = f"[{name}]" if ":" in name else name
    return with_token(f"http://{named}:{port}", token)


def own_address() -> str:
    """The address by which others reach this machine; its name without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((ELSEWHERE, 9))  # a datagram socket sends nothing yet
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def qr_code(link: str) -> Any:
    """The link as a QR code of segno; None where it is not installed."""
    if find_spec(SEGNO) is None:
        return None
    return import_module(SEGNO).make_qr(link, error="L")


def in_terminal(link: str) -> str:
    """The link as a QR code of half blocks; empty without segno."""
    code = qr_code(link)
    out = StringIO()
    if code is not None:
        code.terminal(out=out, compact=True, border=2)
    return out.getvalue()


def on_page(link: str) -> str:
    """The link and its QR code as HTML; for an empty link, why there is none."""
    if not link:
        return f"<div>{escape(UNREACHABLE)}</div>"
    code = qr_code(link)
    drawn = f"<div>{escape(MISSING)}</div>"
    if code is not None:
        drawn = code.svg_inline(scale=5, border=3, light="white")
    text = escape(link)
    shown = escape(urlsplit(link).netloc)
    style = "overflow-wrap:anywhere;user-select:all"
    return (
        f"<div>{drawn}<div style='{style}'><a href='{text}'>{text}</a></div>"
        f"<div>Who has this link can drive the robot at {shown}.</div></div>"
    )
