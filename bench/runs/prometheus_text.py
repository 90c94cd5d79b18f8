"""Prometheus' text: what a server's `/metrics` answers, and which of it a run watches.

Theory of operation
-------------------
The whole text is parsed once, before the run (`read_exposition`): it says which metrics there are
and which of them are counters. From that `default_choice`, or `choice_of` the names that were asked
for, makes a `Choice`. During the run only the lines of its names are parsed (`sampled`): a server
may expose thousands, and a second of a load generator's machine is not for them.

The default watches what tells a busy server from an idle one. Each kind (`KINDS`) has its names in
order of preference: those that are known by name first, then words that servers commonly use. A
kind yields the first of its names that is there; where there is room, all its label sets.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from bench.errors import UsageError, nearest
from bench.runs.gauges import CPU_BUSY, Series

MOST_DEFAULT: Final = 8
"""Series that are watched unasked: so many a reader takes in."""
MOST_SERIES: Final = 32
"""Series that are watched at all; of a histogram with its labels there are hundreds."""
MOST_LINE: Final = 16_384
"""Characters of a line; the parser's time grows with their square."""
KINDS: Final = {
    "gpu": (
        "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "nv_gpu_utilization",
        "nvidia_smi_utilization_gpu_ratio", "nvidia_gpu_duty_cycle", "amd_gpu_gfx_activity",
        r".*gpu_util\w*",
    ),
    "cpu": (
        CPU_BUSY, "container_cpu_usage_seconds_total", "process_cpu_seconds_total",
        r".*cpu_seconds_total", r".*cpu_(usage|utili[sz]ation)\w*",
    ),
    "running": (
        "bench_responses_running", "vllm:num_requests_running", "sglang:num_running_reqs",
        "tgi_batch_current_size", r".*(running|in_?flight|active_(requests|responses))\w*",
    ),
    "waiting": (
        "bench_responses_waiting", "vllm:num_requests_waiting", "sglang:num_queue_reqs",
        "tgi_queue_size", "nv_inference_pending_request_count", r".*(waiting|queue|pending)\w*",
    ),
    "sessions": (
        "bench_sessions_open", r".*(open|active)_(sessions|connections|calls)",
        r".*(sessions|connections|calls)_(open|active)",
    ),
    "memory": (
        "process_resident_memory_bytes", "container_memory_working_set_bytes",
        "node_memory_MemAvailable_bytes", r".*resident_memory_bytes",
    ),
    "gpu memory": (
        "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage",
        "DCGM_FI_DEV_FB_USED", "nv_gpu_memory_used_bytes", "nvidia_smi_memory_used_bytes",
    ),
    "slots": ("bench_slots",),
}  # fmt: skip
"""Patterns of names by what they tell, each in order of preference."""
_AN_EXPORTERS_OWN: Final = ("go_", "promhttp_", "python_", "scrape_", "prometheus_")
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ASKED: Final = re.compile(_NAME.pattern + r"(\{.*\})?")
_CORES: Final = "node_cpu_seconds_total"
_IDLE: Final = frozenset({"idle", "iowait", "steal"})
_NEAR: Final = 5


class Sample(NamedTuple):
    """One sample of a series. `labels` are its pairs, in the order of names."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    counter: bool = False

    @property
    def series(self) -> Series:
        """What it is a sample of."""
        return Series(self.name, ",".join(f"{name}={_quoted(it)}" for name, it in self.labels))


class Selector(NamedTuple):
    """The series of a name that have these labels, whatever others they have; `text` as asked."""

    text: str
    name: str
    labels: frozenset[tuple[str, str]] = frozenset()

    def takes(self, sample: Sample) -> bool:
        """Whether this is about that sample."""
        return sample.name == self.name and self.labels <= set(sample.labels)


class Choice(NamedTuple):
    """What a run watches, and which of these names are counters."""

    selectors: tuple[Selector, ...]
    counters: frozenset[str]


def read_exposition(text: str) -> list[Sample]:
    """Every sample of a text, in its order. ValueError says why it is no Prometheus text."""
    found = list(_parsed(text, _declared(text)))
    if not found:
        raise ValueError("it holds no sample")
    return [*found, *_busy(found)]


def sampled(text: str, choice: Choice) -> list[Sample]:
    """The samples of what is watched. ValueError as of `read_exposition`, of these lines alone."""
    wanted = {_source(one.name) for one in choice.selectors}
    lines = [
        line
        for line in text.splitlines()
        if (word := _NAME.match(line)) is not None and word[0] in wanted
    ]
    samples = list(_parsed("\n".join(lines), {}))
    return [
        one._replace(counter=one.name in choice.counters)
        for one in [*samples, *_busy(samples)]
        if any(selector.takes(one) for selector in choice.selectors)
    ]


def default_choice(samples: Sequence[Sample]) -> Choice:
    """What is watched unasked: of every kind a series, then what there is room for.

    UsageError where the text has nothing that is known.
    """
    kinds = [found for patterns in KINDS.values() if (found := _of_kind(samples, patterns))]
    if not kinds:
        names = {one.name for one in samples}
        raise UsageError(
            "--metrics-url: nothing there is known to be CPU, GPU, memory, a queue or sessions; "
            f"name what to watch with --gauge; {nearest('', names, listed=_NEAR)}"
        )
    firsts = [found[0] for found in kinds]
    rest = [one for found in kinds for one in found[1:]]
    kept = {*firsts, *rest[: max(0, MOST_DEFAULT - len(firsts))]}
    ordered = [one for found in kinds for one in found if one in kept]
    return _choice([_exactly(one) for one in ordered], samples)


def choice_of(asked: Sequence[str], samples: Sequence[Sample]) -> Choice:
    """What was asked for by `--gauge`, each NAME or NAME{label="value"}, with all its label sets.

    UsageError for what is no name, is not among `samples`, or comes to too many series.
    """
    selectors = [_selector(text) for text in dict.fromkeys(asked)]
    for one in selectors:
        _need(one, samples)
    taken = {sample.series for sample in samples if any(one.takes(sample) for one in selectors)}
    if len(taken) > MOST_SERIES:
        largest = max(selectors, key=lambda one: sum(map(one.takes, samples)))
        some = next(sample for sample in samples if largest.takes(sample))
        raise UsageError(
            f"--gauge {largest.text!r}: with it there are {len(taken)} series, at most "
            f"{MOST_SERIES} are watched; name fewer by their labels, as in "
            f"--gauge '{_exactly(some).text}'"
        )
    return _choice(selectors, samples)


def kind_of(name: str) -> str:
    """What a name tells, a key of `KINDS`; "" where that is not known."""
    return next(
        (kind for kind, patterns in KINDS.items() if any(re.fullmatch(p, name) for p in patterns)),
        "",
    )


# ── text ─────────────────────────────────────────────────────────────────────────────────────────


def _parsed(text: str, declared: Mapping[str, str]) -> Iterator[Sample]:
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - slow

    if (longest := max(map(len, text.splitlines()), default=0)) > MOST_LINE:
        raise ValueError(f"a line has {longest} characters, {MOST_LINE} are read")
    try:
        for family in text_string_to_metric_families(text):
            for one in family.samples:
                # The parser adds _total to counters that lack it; here they are called as they are.
                named = one.name.removesuffix("_total")
                name = named if declared.get(named) == "counter" else one.name
                if _NAME.fullmatch(name):
                    labels = tuple(sorted(one.labels.items()))
                    counts = _counts(one.name, family.type)
                    yield Sample(name, labels, float(one.value), counts)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())[:80] or "a line is no sample") from None


def _declared(text: str) -> dict[str, str]:
    """Types by name, as the text declares them."""
    return dict(re.findall(r"^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (\w+)", text, re.MULTILINE))


def _counts(name: str, kind: str) -> bool:
    """Whether a sample only grows, so that its rate is what tells something."""
    if kind in {"counter", "histogram"}:
        return True
    if kind == "summary":
        return name.endswith(("_count", "_sum"))
    return kind == "unknown" and name.endswith("_total")


def _busy(samples: Sequence[Sample]) -> Iterator[Sample]:
    """node_exporter's CPU as one counter; none where there is no node_exporter."""
    cores = [one for one in samples if one.name == _CORES]
    number = len({dict(one.labels).get("cpu") for one in cores})
    if number:
        busy = sum(one.value for one in cores if dict(one.labels).get("mode") not in _IDLE)
        yield Sample(CPU_BUSY, (), busy / number, counter=True)


def _source(name: str) -> str:
    """The metric in the text that a name is made of."""
    return _CORES if name == CPU_BUSY else name


# ── choice ───────────────────────────────────────────────────────────────────────────────────────


def _of_kind(samples: Sequence[Sample], patterns: Sequence[str]) -> list[Sample]:
    """All label sets of the first name of a kind that is there; a series once."""
    for pattern in patterns:
        known = _NAME.fullmatch(pattern) is not None
        for name in dict.fromkeys(one.name for one in samples):
            found = [one for one in samples if one.name == name]
            if not re.fullmatch(pattern, name):
                continue
            # A word in a name is no more than a hint: counters and times are something else.
            if known or not (name.startswith(_AN_EXPORTERS_OWN) or _no_level(found[0])):
                return list({one.series: one for one in found}.values())
    return []


def _no_level(sample: Sample) -> bool:
    """Whether a sample tells no level of now: what was counted, but for CPU, and how long it took.

    A summary's quantile is such a time.
    """
    if sample.name.endswith("cpu_seconds_total"):
        return False
    timed = sample.name.endswith(("_seconds", "_ms", "_created", "_timestamp"))
    return sample.counter or timed or "quantile" in dict(sample.labels)


def _choice(selectors: Sequence[Selector], samples: Sequence[Sample]) -> Choice:
    names = {one.name for one in selectors}
    counters = {one.name for one in samples if one.counter and one.name in names}
    return Choice(tuple(selectors), frozenset(counters))


def _exactly(sample: Sample) -> Selector:
    series = sample.series
    text = f"{series.name}{{{series.labels}}}" if series.labels else series.name
    return Selector(text, sample.name, frozenset(sample.labels))


def _selector(text: str) -> Selector:
    try:
        (sample,) = list(_parsed(f"{text} 0", {})) if _ASKED.fullmatch(text) else []
    except ValueError:
        raise UsageError(
            f"--gauge {text!r}: give the name of a metric, as in process_cpu_seconds_total, or "
            "name and labels, as in 'DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"}'"
        ) from None
    return Selector(text, sample.name, frozenset(sample.labels))


def _need(selector: Selector, samples: Sequence[Sample]) -> None:
    """UsageError where nothing is what was asked for."""
    if any(map(selector.takes, samples)):
        return
    mine = [one for one in samples if one.name == selector.name]
    if mine:
        sets = ", ".join(f"{{{one.series.labels}}}" for one in mine[:_NEAR])
        more = f" and {len(mine) - _NEAR} more" if len(mine) > _NEAR else ""
        raise UsageError(f"--gauge {selector.text!r}: no such labels there; it has {sets}{more}")
    names = {one.name for one in samples}
    raise UsageError(
        f"--gauge {selector.text!r}: no such metric there; "
        f"{nearest(selector.name, names, most=_NEAR, listed=_NEAR)}"
    )


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
