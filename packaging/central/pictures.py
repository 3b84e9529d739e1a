#!/usr/bin/env python3
"""Draws the dashboards of the kit as SVG, from what a real centre answers to their queries.

    python3 pictures.py --centre URL --folder docs/pictures [--minutes 3] [--language en]
    simulation --fleet 10000 --curve | python3 pictures.py --curve - --folder docs/pictures

The centre is one that fleet.py writes to, with the kit's rules (quickstart.sh --fleet). The first writes NAME.svg for
each dashboard, the second return.svg: the requests in each second around the return of a centre.
"""
import argparse
import html
import json
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

import dashboards

COLORS = ("#3b7dd8", "#e0752d", "#3f9e5a", "#b5489a", "#8a6d3b", "#56a3a6", "#c23b3b", "#6b6bb5")
LINES_MAX, POINTS = 8, 48
WIDTH, HEIGHT, GAP = 400, 150, 12
Line = tuple[str, list[tuple[float, float]]]


def human(value: float, unit: str) -> str:
    """12.3k, 45 %, 2.1 d"""
    if unit == "percent":
        return f"{value:.0f} %"
    steps = ((86400, " d"), (3600, " h"), (60, " m")) if unit == "s" else ((1e9, "G"), (1e6, "M"), (1e3, "k"))
    for size, name in steps:
        if abs(value) >= size:
            return f"{value / size:.1f}{name}"
    return f"{value:.3g}" + (" s" if unit == "s" else "")


def text(x: float, y: float, what: str, size: int = 10, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}"{more}>{html.escape(what)}</text>'


def chart(x: int, y: int, lines: list[Line], unit: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    left, top, right, bottom = x + 44, y + 24, x + width - 8, y + height - 30
    points = [point for _, line in lines for point in line]
    begin, end = min(t for t, _ in points), max(t for t, _ in points)
    most = max(max(v for _, v in points), 1e-9)
    out = []
    for share in (0, 0.5, 1):
        at = bottom - share * (bottom - top)
        out.append(f'<path d="M{left} {at:.0f}H{right}" stroke="#ddd"/>')
        out.append(text(left - 4, at + 3, human(share * most, unit), 9, ' text-anchor="end"'))
    legend = left
    for number, (name, line) in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        path = "L".join(f"{left + (t - begin) / max(end - begin, 1) * (right - left):.0f} "
                        f"{bottom - v / most * (bottom - top):.1f}" for t, v in line)
        out.append(f'<path d="M{path}" fill="none" stroke="{color}"/>')
        if name and legend + 6 * len(name) < right:
            out.append(text(legend, y + height - 12, name, 9, f' fill="{color}"'))
            legend += 6 * len(name) + 10
    return "".join(out)


def picture(width: int, height: int, parts: list[str]) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')


class Centre:
    def __init__(self, url: str, minutes: float):
        self._url, self._end = url.rstrip("/"), int(time.time()) - 2
        self._begin = self._end - int(minutes * 60)

    def ask(self, query: str, is_range: bool) -> list[dict]:
        when = ({"start": self._begin, "end": self._end, "step": max(1, (self._end - self._begin) // POINTS)}
                if is_range else {"time": self._end})
        arguments = urllib.parse.urlencode({"query": query, **when})
        with urllib.request.urlopen(f"{self._url}/api/v1/query{'_range' * is_range}?{arguments}", timeout=60) as answer:
            return json.loads(answer.read())["data"]["result"]


def label(legend: str, metric: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: metric.get(found[1], ""), legend).replace("__auto", "")


def panel(centre: Centre, board: dict, x: int, y: int, values: dict[str, str]) -> str:
    unit, is_range = board["fieldConfig"]["defaults"]["unit"], board["type"] == "timeseries"
    out = [f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>',
           text(x + 8, y + 16, board["title"], 12, ' font-weight="bold"')]
    lines: list[Line] = []
    for target in board["targets"]:
        query = target["expr"]
        for name, value in values.items():
            query = query.replace(name, value)
        for result in centre.ask(query, is_range):
            samples = result["values"] if is_range else [result["value"]]
            lines.append((label(target["legendFormat"], result["metric"]),
                          [(float(t), float(v)) for t, v in samples]))
    lines.sort(key=lambda line: -line[1][-1][1])
    if not lines:
        out.append(text(x + WIDTH / 2, y + HEIGHT / 2, "0", 30, ' text-anchor="middle"'))
    elif board["type"] == "timeseries":
        out.append(chart(x, y, lines[:LINES_MAX], unit))
    elif board["type"] == "stat":
        shown = human(lines[0][1][-1][1], unit)
        out.append(text(x + WIDTH / 2, y + HEIGHT / 2 + 18, shown, 40, ' text-anchor="middle" fill="#3f9e5a"'))
    else:
        for number, (name, line) in enumerate(lines[:LINES_MAX]):
            out.append(text(x + 16, y + 36 + 14 * number, name or "-", 10))
            out.append(text(x + WIDTH - 16, y + 36 + 14 * number, human(line[-1][1], unit), 10, ' text-anchor="end"'))
    return "".join(out)


def draw_dashboards(centre: Centre, folder: pathlib.Path, language: str, values: dict[str, str]) -> None:
    for name, content in dashboards.files().items():
        if not name.startswith(f"{language}/"):
            continue
        board, parts = json.loads(content), []
        for number, each in enumerate(board["panels"]):
            parts.append(panel(centre, each, GAP + number % 2 * (WIDTH + GAP),
                               GAP + 24 + number // 2 * (HEIGHT + GAP), values))
        rows = (len(board["panels"]) + 1) // 2
        parts.append(text(GAP, 22, board["title"], 15, ' font-weight="bold"'))
        (folder / f"{pathlib.Path(name).stem}.svg").write_text(
            picture(2 * WIDTH + 3 * GAP, 24 + rows * (HEIGHT + GAP) + GAP, parts), encoding="utf-8")


def draw_curve(said: str, folder: pathlib.Path) -> None:
    """Means of 5 s of the lines SECOND LIVE BACKLOG REFUSED, from 2 minutes before the return to 4 after it."""
    rows = [tuple(map(int, row)) for row in re.findall(r"^(-?\d+) (\d+) (\d+) (\d+)$", said, re.MULTILINE)]
    rows = [row for row in rows if -120 <= row[0] < 240]
    names = ("live", "backlog", "refused", "all")
    lines: list[Line] = [(name, []) for name in names]
    for begin in range(0, len(rows) - 4, 5):
        sums = [sum(row[i] for row in rows[begin:begin + 5]) / 5 for i in (1, 2, 3)]
        for (_, line), value in zip(lines, (*sums, sum(sums))):
            line.append((rows[begin][0] + 2.5, value))
    width, height = 760, 260
    zero = 44 + 120 / 357.5 * (width - 52)
    parts = [chart(0, 0, lines, "short", width, height), text(44, 16, "requests per second, -120 s to 240 s", 12),
             f'<path d="M{zero:.0f} 24V{height - 30}" stroke="#888" stroke-dasharray="4"/>',
             text(zero + 4, height - 36, "the centre is back", 10)]
    (folder / "return.svg").write_text(picture(width, height, parts), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--centre")
    parser.add_argument("--curve", help="a file, or - for standard input")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--language", choices=dashboards.LANGUAGES, default="en")
    parser.add_argument("--rate", default="30s", help="in place of $__rate_interval")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.curve:
        said = sys.stdin.read() if options.curve == "-" else pathlib.Path(options.curve).read_text(encoding="utf-8")
        draw_curve(said, options.folder)
    if options.centre:
        draw_dashboards(Centre(options.centre, options.minutes), options.folder, options.language,
                        {"$__rate_interval": options.rate, "$customer": "gamma", "$server": "batch-01"})


if __name__ == "__main__":
    main()
