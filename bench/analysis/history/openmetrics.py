"""A history as OpenMetrics text: every valid run of every line, as gauges with timestamps.

Theory of operation
-------------------
This is what `promtool tsdb create-blocks-from openmetrics` reads into Prometheus. The rules are
those of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/): units are base
units and end the name, the points of a metric are in order of time and metrics are not interleaved,
and the text ends with `# EOF`. Labels hold all that keeps two lines apart. Commits are no labels of
figures, for each would begin a line of its own: they are in `bench_run_info`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from bench.analysis.history.series import Group, Line, Setting
from bench.plan.metrics import METRICS
from bench.runs.record import Entry

_UNITS: Final = {
    "ms": ("seconds", 1e-3),
    "%": ("ratio", 1e-2),
    "ratio": ("ratio", 1.0),
    "/s": ("per_second", 1.0),
    "1": ("", 1.0),
}
"""What OpenMetrics calls a unit, and the factor to it; one that is not here has no name there."""


def openmetrics(groups: Sequence[Group]) -> str:
    """The whole text. The ends of intervals are gauges of their own."""
    families: dict[str, tuple[str, str, list[str]]] = {}
    for group in groups:
        for line in group.lines:
            unit, factor = _UNITS.get(line.unit, ("", 1.0))
            for part, about in (("", ""), ("_low", "lower end of"), ("_high", "upper end of")):
                name = "_".join(["bench", line.metric + part, *([unit] if unit else [])])
                sentence = _sentence(line.metric, about)
                samples = families.setdefault(name, (unit, sentence, []))[2]
                samples += _samples(name, line, part.removeprefix("_") or "value", factor)
    text = []
    for name, (unit, sentence, samples) in families.items():
        if samples:
            text.append(f"# TYPE {name} gauge")
            text += [f"# UNIT {name} {unit}"] if unit else []
            text += [f"# HELP {name} {_escaped(sentence)}", *samples]
    return "\n".join([*text, *_info(groups), "# EOF", ""])


def _samples(name: str, line: Line, part: str, factor: float) -> Iterator[str]:
    labels = _labels({**_told(line.setting), "statistic": line.statistic, "filter": line.filter})
    before = 0
    for point in line.points:
        value, at = getattr(point, part), _at(point.entry)
        # Two runs begun in one second would be one sample twice: the first of them is kept.
        if value is not None and at > before:
            before = at
            yield f"{name}{labels} {value * factor!r} {at}"


def _info(groups: Sequence[Group]) -> Iterator[str]:
    """What each run was, as an info metric: commits as labels of figures would cut every line."""
    yield "# TYPE bench_run info"
    yield "# HELP bench_run What was run, by which versions, and how it was judged."
    for group in groups:
        for entry in group.entries:
            labels = {
                **_told(group.setting), "run": entry.key, "commit": entry.commit,
                "verdict": entry.verdict, "bench_version": entry.bench_version, "host": entry.host,
            }  # fmt: skip
            yield f"bench_run_info{_labels(labels)} 1 {_at(entry)}"


def _told(setting: Setting) -> dict[str, str]:
    """The labels that keep lines apart; digests by their beginning, as git shows commits."""
    told = {**setting._asdict(), "workload": setting.workload[:12]}
    told["corpus_sha256"] = setting.corpus_sha256[:12]
    return {name: str(value) for name, value in told.items()}


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _sentence(metric: str, about: str) -> str:
    known = METRICS.get(metric)
    meaning = known.about if known else metric
    return f"95 % interval, {about}: {meaning}" if about else meaning


def _at(entry: Entry) -> int:
    """When a run began, in seconds since 1970."""
    return int(datetime.fromisoformat(entry.created).timestamp())
