"""Boxes, lines and text as an SVG file, for the architecture picture."""

from html import escape

WIDTH = 1180
INK = "#1f2933"
PALE = "#f1f4f8"
LINE = "#9aa5b1"


class Drawing:
    """Lines of SVG."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        *,
        fill: str = PALE,
        stroke: str = LINE,
        dash: str = "",
    ) -> None:
        """A rectangle with round corners."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.rows.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="6" fill="{fill}"'
            f' stroke="{stroke}"{dashes}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = 13,
        anchor: str = "start",
        fill: str = INK,
        bold: bool = False,
        turned: bool = False,
    ) -> None:
        """One line of text; `turned` reads upwards."""
        weight = ' font-weight="600"' if bold else ""
        turn = f' transform="rotate(-60 {x:g} {y:g})"' if turned else ""
        self.rows.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
            f"{weight}{turn}>{escape(words)}</text>"
        )

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        *,
        stroke: str = LINE,
        width: float = 1.0,
        dash: str = "",
    ) -> None:
        """A straight line."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.rows.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{stroke}"'
            f' stroke-width="{width:g}"{dashes}/>'
        )

    def dot(self, x: float, y: float, fill: str, radius: float = 4.5) -> None:
        """Mark a sender of a topic."""
        self.rows.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"/>')

    def head(self, x: float, y: float, direction: int, fill: str) -> None:
        """Mark a taker of a topic; the point touches (x, y)."""
        self.rows.append(f'<path d="M{x:g},{y:g} l{-9 * direction},-4.5 v9 z" fill="{fill}"/>')

    def svg(self, height: float) -> str:
        """The whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}"'
            f' viewBox="0 0 {WIDTH} {height:g}"'
            ' font-family="DejaVu Sans, Helvetica, Arial, sans-serif">'
        )
        ground = f'<rect width="{WIDTH}" height="{height:g}" fill="white"/>'
        return "\n".join([head, ground, *self.rows, "</svg>", ""])
