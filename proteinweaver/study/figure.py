"""A figure as one SVG text: lines with markers on linear or logarithmic axes.

No plotting library: the text stands alone in a file or inside a page, and takes the page's text
colour, so that it reads on light and on dark.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

from samplers.studies.base import Figure, Series

__all__ = ["svg"]

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 74, 210, 34, 52
SPACING = 18  # of the lines of the legend, which may be longer than the plot is high
#: Hues that differ for readers who confuse red and green, of middling lightness for both grounds.
COLOURS = (
    "#3b82c4",
    "#e08214",
    "#2a9d8f",
    "#c44e88",
    "#8a6fc9",
    "#9a8c1f",
    "#d1495b",
    "#5f8f3a",
    "#7b8794",
    "#a0652e",
)
_TO_SCREEN = Callable[[float], float]


def svg(figure: Figure) -> str:
    """Draw a figure.

    Parameters
    ----------
    figure : Figure
        Points that are not finite, or not positive on a logarithmic axis, are left out.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    lines = [(s, _points(s, figure)) for s in figure.series]
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points]
    height = max(HEIGHT, TOP + 24 + SPACING * len(lines))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">',
        f"<title>{escape(figure.title)}</title>",
        f'<text x="{LEFT}" y="20" font-size="14" font-weight="600">{escape(figure.title)}</text>',
    ]
    if not xs:
        return "".join((*parts, f'<text x="{LEFT}" y="80">no points</text></svg>'))
    across, x_ticks = _axis(xs, figure.log_x, LEFT, WIDTH - RIGHT)
    up, y_ticks = _axis(ys, figure.log_y, HEIGHT - BOTTOM, TOP)
    parts += _frame(figure, across, x_ticks, up, y_ticks)
    for k, (series, points) in enumerate(lines):
        parts += _line(series, points, COLOURS[k % len(COLOURS)], across, up)
        parts += _legend(series, k, COLOURS[k % len(COLOURS)])
    return "".join((*parts, "</svg>"))


def _points(series: Series, figure: Figure) -> list[tuple[float, float]]:
    def shown(value: float, log: bool) -> bool:
        return math.isfinite(value) and (value > 0 or not log)

    return [
        (x, y)
        for x, y in zip(series.x, series.y, strict=True)
        if shown(x, figure.log_x) and shown(y, figure.log_y)
    ]


def _axis(
    values: Sequence[float], log: bool, start: float, stop: float
) -> tuple[_TO_SCREEN, list[tuple[float, str]]]:
    """Map to the screen, and the ticks with their labels."""
    low, high = min(values), max(values)
    if log:
        a, b = math.log10(low), math.log10(high)
        if b - a < 0.3:
            a, b = a - 0.15, b + 0.15
        ticks = _log_ticks(a, b)
    else:
        a, b = (low, high) if high > low else (low - 0.5, high + 0.5)
        step = 10 ** math.floor(math.log10((b - a) / 2))
        step *= next(f for f in (1, 2, 5) if (b - a) / (f * step) <= 6)
        first = math.ceil(a / step - 1e-9)
        ticks = [
            (k * step, f"{k * step:g}") for k in range(first, math.floor(b / step + 1e-9) + 1)
        ]
    pad = 0.03 * (b - a)
    a, b = a - pad, b + pad

    def place(value: float) -> float:
        position = math.log10(value) if log else value
        return start + (position - a) / (b - a) * (stop - start)

    return place, ticks


def _log_ticks(a: float, b: float) -> list[tuple[float, str]]:
    whole = range(math.ceil(a - 1e-9), math.floor(b + 1e-9) + 1)
    if len(whole) >= 3:
        stride = math.ceil(len(whole) / 9)
        return [(10.0**k, f"{10.0**k:g}") for k in whole if (k - whole[0]) % stride == 0]
    decades = range(math.floor(a), math.floor(b) + 1)
    inside = []
    for leads in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        found = [m * 10.0**k for k in decades for m in leads]
        inside = [v for v in found if a - 1e-9 <= math.log10(v) <= b + 1e-9]
        if len(inside) >= 3:
            break
    return [(v, f"{v:g}") for v in inside]


def _frame(
    figure: Figure,
    across: _TO_SCREEN,
    x_ticks: list[tuple[float, str]],
    up: _TO_SCREEN,
    y_ticks: list[tuple[float, str]],
) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    thin = 'stroke="currentColor" stroke-opacity="0.18" stroke-width="1"'
    parts = []
    for value, label in x_ticks:
        x = across(value)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" {thin}/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    for value, label in y_ticks:
        y = up(value)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" {thin}/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(
        f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" '
        'stroke="currentColor" stroke-opacity="0.5"/>'
    )
    middle_x, middle_y = (LEFT + right) / 2, (TOP + bottom) / 2
    parts.append(
        f'<text x="{middle_x:.0f}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{escape(figure.x_label)}</text>"
        f'<text transform="translate(16 {middle_y:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(figure.y_label)}</text>"
    )
    return parts


def _line(
    series: Series,
    points: list[tuple[float, float]],
    colour: str,
    across: _TO_SCREEN,
    up: _TO_SCREEN,
) -> list[str]:
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
    dash = ' stroke-dasharray="5 4"' if series.dashed else ""
    parts = []
    if series.joined:
        look = f'fill="none" stroke="{colour}" stroke-width="2"{dash}'
        parts.append(f'<polyline points="{path}" {look}/>')
    for x, y in points:
        parts.append(
            f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}">'
            f"<title>{escape(series.label)}: {x:g}, {y:.3g}</title></circle>"
        )
    return parts


def _legend(series: Series, k: int, colour: str) -> list[str]:
    x, y = WIDTH - RIGHT + 14, TOP + 12 + SPACING * k
    dash = ' stroke-dasharray="5 4"' if series.dashed else ""
    return [
        f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" stroke="{colour}" '
        f'stroke-width="3"{dash}/>',
        f'<text x="{x + 28}" y="{y}" font-size="11">{escape(series.label)}</text>',
    ]
