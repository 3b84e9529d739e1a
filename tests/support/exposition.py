"""Prometheus text format 0.0.4, as far as node_exporter and --dry-run write it."""
import dataclasses
import re

SeriesKey = tuple[str, tuple[tuple[str, str], ...]]  # the metric's name, sorted labels

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
_ESCAPE = re.compile(r'\\(.)')


@dataclasses.dataclass
class Exposition:
    types: dict[str, str] = dataclasses.field(default_factory=dict)
    helps: dict[str, str] = dataclasses.field(default_factory=dict)
    samples: dict[SeriesKey, float] = dataclasses.field(default_factory=dict)


def parse_exposition(text: str) -> Exposition:
    """Raises where a line is none of the format, or a series comes twice."""
    result = Exposition()
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            _, kind, name, rest = line.split(" ", 3)
            (result.types if kind == "TYPE" else result.helps)[name] = rest
        elif line and not line.startswith("#"):
            key, value = _parse_sample(line)
            assert key not in result.samples, f"a series comes twice: {line}"
            result.samples[key] = value
    return result


def _parse_sample(line: str) -> tuple[SeriesKey, float]:
    match = _SAMPLE.match(line)
    assert match, f"not a sample: {line}"
    name, label_text, value = match.groups()
    labels = []
    at = 0
    while label_text and at < len(label_text):
        label = _LABEL.match(label_text, at)
        assert label, f"not labels: {line}"
        labels.append((label[1], _ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], label[2])))
        at = label.end()
    return (name, tuple(sorted(labels))), float(value)
