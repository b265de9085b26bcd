# SPDX-License-Identifier: LGPL-2.1-or-later
"""The picture of a bench of engines: time against guest work lost, one dot an engine, as SVG. Knows nothing of runs."""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 640
LEFT, RIGHT, TOP, BOTTOM = 90, 40, 84, 76  # margins of the plot
FONT = 13
CHARACTER = 6.9  # px that one takes, about
INK, DIM, GRID = "#1f2933", "#616e7c", "#d9dee4"
COLOURS = {"migrationd": "#c2410c", "oracle": "#15803d"}
PEER = "#3b6ea8"


@dataclass
class Axis:
    """A logarithmic axis from pixel `begin` to pixel `end`."""

    low: float
    high: float
    begin: float
    end: float

    @classmethod
    def around(cls, values: list[float], begin: float, end: float) -> "Axis":
        low, high = min(values), max(values)
        margin = max((high / low) ** 0.08, 1.15)
        return cls(low / margin, high * margin, begin, end)

    def at(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return self.begin + part * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """1, 2, 5, 10, … within the axis."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [digit * 10.0 ** power for power in powers for digit in (1, 2, 5)]
        return [v for v in values if self.low <= v <= self.high]


@dataclass
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide * high if wide > 0 and high > 0 else 0.0


PLOT = Box(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)


def outside(box: Box) -> float:
    return (max(0, PLOT.left - box.left) + max(0, box.right - PLOT.right)
            + max(0, PLOT.top - box.top) + max(0, box.bottom - PLOT.bottom))


def place(x: float, y: float, text: str, taken: list[Box]) -> Box:
    """Where the label of the dot at x, y is least in the way: near it, over nothing else, inside the plot."""
    width, best, least = len(text) * CHARACTER, None, math.inf
    for distance in (10, 24, 40, 60, 84, 110):
        for angle in range(0, 360, 30):
            cx, cy = x + distance * math.cos(math.radians(angle)), y + distance * math.sin(math.radians(angle))
            left = cx if math.cos(math.radians(angle)) > 0.1 else cx - width
            if abs(math.cos(math.radians(angle))) <= 0.1:
                left = cx - width / 2
            box = Box(left, cy - FONT / 2 - 1, left + width, cy + FONT / 2 + 2)
            price = distance + 10 * outside(box) + 4 * sum(box.overlap(t) for t in taken)
            if price < least:
                best, least = box, price
    return best


def text(x: float, y: float, words: str, *, anchor: str = "start", size: int = FONT, fill: str = INK,
         extra: str = "") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"{extra}>'
            f"{escape(words)}</text>")


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def number(value: float) -> str:
    return f"{value:g} s"


def axes(across: Axis, up: Axis) -> list[str]:
    parts = []
    for tick in across.ticks():
        x = across.at(tick)
        parts += [line(x, PLOT.top, x, PLOT.bottom, GRID), text(x, PLOT.bottom + 20, number(tick), anchor="middle",
                                                                fill=DIM)]
    for tick in up.ticks():
        y = up.at(tick)
        parts += [line(PLOT.left, y, PLOT.right, y, GRID), text(PLOT.left - 10, y + 4, number(tick), anchor="end",
                                                                fill=DIM)]
    middle = (PLOT.top + PLOT.bottom) / 2
    parts.append(text((PLOT.left + PLOT.right) / 2, HEIGHT - 26, "time, geometric mean (a run that did not bring the "
                      "guest over counts as its time limit)", anchor="middle"))
    parts.append(text(24, middle, "guest work lost, geometric mean", anchor="middle",
                      extra=f' transform="rotate(-90 24 {middle:.1f})"'))
    return parts


def dot(x: float, y: float, engine: str) -> str:
    colour = COLOURS.get(engine, PEER)
    if engine == "oracle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="white" stroke="{colour}" stroke-width="3"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{7 if engine in COLOURS else 5}" fill="{colour}"/>'


def label(summary: dict) -> str:
    over = summary["over"]
    name = summary["engine"]
    if summary["arrived"] < summary["runs"]:
        name += f", {summary['arrived']}/{summary['runs']} arrive"
    return name + (f", {over} over a limit" if over else "")


def draw(summaries: list[dict], profile: str) -> str:
    """`summaries`: engine, time_s, lost_s (both > 0), arrived, over (a limit of the profile) and runs each."""
    across = Axis.around([s["time_s"] for s in summaries], PLOT.left, PLOT.right)
    up = Axis.around([s["lost_s"] for s in summaries], PLOT.bottom, PLOT.top)
    dots = [(across.at(s["time_s"]), up.at(s["lost_s"]), s) for s in summaries]
    taken = [Box(x - 8, y - 8, x + 8, y + 8) for x, y, _ in dots]
    parts, labels = axes(across, up), []
    # The important ones first: they get the best places.
    for x, y, summary in sorted(dots, key=lambda d: d[2]["engine"] not in COLOURS):
        words = label(summary)
        box = place(x, y, words, taken)
        taken.append(box)
        near_x = min(max(x, box.left), box.right)
        near_y = min(max(y, box.top), box.bottom)
        if math.hypot(near_x - x, near_y - y) > 14:
            parts.append(line(x, y, near_x, near_y, DIM, 0.7))
        weight = ' font-weight="bold"' if summary["engine"] in COLOURS else ""
        labels.append(text(box.left, box.bottom - 4, words, fill=COLOURS.get(summary["engine"], INK), extra=weight))
    parts += [dot(x, y, s["engine"]) for x, y, s in dots] + labels
    title = text(LEFT, 34, "Live migrations under different engines", size=20, extra=' font-weight="bold"')
    below = text(LEFT, 58, f"{summaries[0]['runs']} described migrations, profile {profile}; down and to the left is "
                 "better; both axes are logarithmic", fill=DIM)
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="DejaVu Sans, Helvetica, Arial, sans-serif">')
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, paper, title, below, *parts, "</svg>", ""])
