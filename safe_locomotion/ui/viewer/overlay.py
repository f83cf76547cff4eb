"""Large letters over the picture: who drives, why, and the bars of the trigger set.

Sizes are chosen for a reader two metres away from a screen of a desktop. The page is HTML and CSS
alone. A page that hears nothing for `LOST_S` turns grey by itself, because each new text restarts
the animation of its grey cover.
"""

from collections.abc import Sequence
from html import escape

from safe_locomotion.types import Mode
from safe_locomotion.ui.robot_body import Rgba
from safe_locomotion.ui.scene import BAR_OVERSHOOT, GREY, Bar, Scene

LOST_S = 4.0  #: without a new text the page counts as cut off [s]
PHONE = 576  #: widest page that the library lays out for a phone [px]
DARK_UNTIL = 0.5  #: luminance of a ground on which white letters are read better than black ones
LOST = "Connection lost. This picture is old, and the stop button on this page does not work."
STYLE = f"""<style>
.sl-over{{position:fixed;z-index:3;pointer-events:none;top:14px;left:64px;right:340px;
 font-family:inherit;line-height:1.25;display:flex;flex-direction:column;gap:8px}}
.sl-chip{{align-self:flex-start;border-radius:10px;padding:4px 18px;font-weight:700;
 font-size:clamp(26px,3.2vw,48px)}}
.sl-why{{align-self:flex-start;font-size:clamp(16px,1.6vw,24px);background:#ffffffd9;color:#212529;
 border-radius:8px;padding:2px 12px;max-width:100%;box-sizing:border-box}}
.sl-bars{{position:fixed;bottom:14px;left:64px;right:340px;display:grid;z-index:3;
 pointer-events:none;grid-template-columns:repeat(3,1fr);gap:8px 22px;background:#ffffffd9;
 border-radius:10px;padding:8px 16px 12px;font-size:clamp(13px,1.6vw,24px);color:#212529}}
.sl-track{{position:relative;height:clamp(9px,1.2vw,18px);border-radius:9px;background:#ffc9c9}}
.sl-track>i{{position:absolute;top:0;bottom:0;background:#dee2e6}}
.sl-track>b{{position:absolute;top:-20%;height:140%;aspect-ratio:1;border-radius:50%;
 transform:translateX(-50%);border:2px solid #fff;box-sizing:border-box}}
.sl-unjudged{{opacity:.6}}
.sl-lost{{position:fixed;inset:0;z-index:2;pointer-events:none;background:#495057b3;color:#fff;
 display:flex;align-items:center;justify-content:center;text-align:center;padding:0 12vw;
 font-size:clamp(20px,2.6vw,36px);font-weight:700;visibility:hidden;
 animation:sl-lost 0s linear {LOST_S}s forwards}}
.sl-lost>div{{background:#212529;border-radius:12px;padding:.4em .8em}}
@keyframes sl-lost{{to{{visibility:visible}}}}
#webgl-software-rendering{{display:none}}
body:has(.sl-past) .sl-live{{display:none}}
.sl-past .sl-chip{{outline:4px dashed #212529;outline-offset:3px}}
@media (max-width:{PHONE}px){{
 .sl-over{{top:8px;left:8px;right:8px;gap:5px}}
 .sl-chip{{font-size:22px;padding:4px 12px}}
 .sl-past{{gap:10px}}
 .sl-bars{{position:static;padding:4px 8px 7px;gap:3px 10px;font-size:12px}}
 .mantine-Paper-root[style*="position: fixed"]{{width:100%!important;max-height:42%!important}}
 .mantine-Paper-root[style*="position: fixed"] div[style*="width: 20em"]{{width:100%!important}}
 [aria-hidden="true"]:has(.sl-over){{display:block!important;height:96px!important;
  overflow:hidden!important;opacity:1!important}}
}}
@media (min-width:{PHONE + 1}px) and (max-width:1000px){{
 .sl-over,.sl-bars{{right:300px;left:44px}}
 .sl-bars{{gap:3px 12px;padding:4px 10px 7px}}
}}
</style>"""


def overlay(scene: Scene, beat: int) -> str:
    """Headline, reason and bars of a scene; `beat` makes equal texts differ."""
    why = reason(scene)
    parts = [_chip(driver(scene), scene.color), _why(why) if why else "", bars(scene)]
    return _page("".join(parts), "sl-live", beat)


def waiting(beat: int) -> str:
    """The same before the first state."""
    chip = _chip("no robot heard", GREY)
    return _page(chip + _why("no state yet: does the stack run?"), "sl-live", beat)


def old(scene: Scene, age_s: float, beat: int) -> str:
    """The same when no new state comes; `age_s` is the age of the newest [s]."""
    chip = _chip(f"no state for {age_s:.0f} s", GREY)
    was = f"this picture is old; it was: {driver(scene)}"
    return _page(chip + _why(was) + bars(scene), "sl-live", beat)


def past(scene: Scene, ago_s: float, live: str) -> str:
    """The same for a moment that a user looks back at; `live` says what happens now."""
    chip = _chip(f"{ago_s:.1f} s ago: {driver(scene)}", scene.color)
    why = reason(scene)
    text = f"{why} · " if why else ""
    return f"<div class='sl-over sl-past'>{chip}{_why(f'{text}now: {live}')}{bars(scene)}</div>"


def driver(scene: Scene) -> str:
    """Who drives, for people; the mode where nobody walks."""
    if scene.mode is None:
        return "no verdict"
    if scene.mode is not Mode.WALK:
        return scene.mode.name
    if scene.active == "learner":
        return f"{scene.policy or 'learner'} drives"
    return "recovery drives"


def reason(scene: Scene) -> str:
    """Why the robot is in this mode; empty when all is well."""
    stopped = ", stopped: what was planned is grey" if scene.remains is not None else ""
    return f"{scene.reason}{stopped}".removeprefix(", ")


def bars(scene: Scene) -> str:
    """The bars of the trigger set: red outside of the bounds, a dot at the value."""
    unjudged = "" if scene.judged else " sl-unjudged"
    return f"<div class='sl-bars{unjudged}'>{''.join(_bar(bar) for bar in scene.bars)}</div>"


def css(color: Rgba) -> str:
    """A colour for a style sheet."""
    return f"rgb({', '.join(str(round(255.0 * part)) for part in color[:3])})"


def table(shown: Sequence[Bar]) -> str:
    """Numbers of the bars as text, one line each."""
    return "".join(f"<div>{escape(bar.text)}</div>" for bar in shown)


def _page(content: str, kind: str, beat: int) -> str:
    return (
        f"<div class='sl-over {kind}' data-beat='{beat}'>{content}</div>"
        f"<div class='sl-lost'><div>{LOST}</div></div>"
    )


def _chip(text: str, color: Rgba) -> str:
    red, green, blue = color[:3]
    ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < DARK_UNTIL else "#212529"
    return f"<div class='sl-chip' style='background:{css(color)};color:{ink}'>{escape(text)}</div>"


def _why(text: str) -> str:
    return f"<div class='sl-why'>{escape(text)}</div>"


def _bar(bar: Bar) -> str:
    whole = 2.0 * BAR_OVERSHOOT
    bound = 100.0 * (BAR_OVERSHOOT - 1.0) / whole
    value = 100.0 * (bar.share + BAR_OVERSHOOT) / whole
    return (
        f"<div>{escape(bar.name.replace('_', ' '))}<div class='sl-track'>"
        f"<i style='left:{bound:.1f}%;right:{bound:.1f}%'></i>"
        f"<b style='left:{value:.1f}%;background:{css(bar.color)}'></b></div></div>"
    )
