"""What figures are made of figures: flaws F15, F20, F21, F28."""

import numpy as np

from bench.analysis import summary
from bench.stats import quantile
from tests.analysis.story import Answer, analysed, conversation
from tests.flaws.injection import all_of, caught, put_in
from tests.flaws.stage import judged

STAGES = ("endpointing_delay", "commit_delay", "response_start_delay", "generation_delay")


def stages_added(*facts):
    """F15: the quantile of the whole is the sum of those of its stages."""
    document = SUMMARISE(*facts)
    rows = {(row["metric"], row["statistic"]): row for row in document["rows"]}
    parts = [rows[stage, "p95"]["value"] for stage in STAGES]
    rows["first_audio_latency", "p95"]["value"] = sum(parts)
    return document


SUMMARISE = summary.summarise


def test_a_quantile_of_the_whole_is_taken_over_wholes(fresh):
    """F15: ears are quick where minds are slow, and the other way round."""
    quick_ear, quick_mind = Answer(stop=300, deltas=(900,)), Answer(stop=900, deltas=(300,))

    def check():
        callers = [conversation(n, 2, quick_mind if n % 2 else quick_ear) for n in range(8)]
        _, _, rows, _ = analysed(fresh(), *callers)
        found = rows["first_audio_latency", "p95"]["value"]
        assert found == 1230, f"every turn takes 1230 ms, and their p95 is {found:.0f}"

    flaw = put_in("bench.analysis.pipeline.summarise", stages_added)
    caught(check, flaw, "every turn takes 1230 ms, and their p95 is 1830")


def test_a_tail_that_twenty_turns_cannot_show_is_not_judged(fresh):
    """F20: put in is a judge who takes any n for enough, and an interval that forgets its n."""

    def check():
        folder = fresh()
        analysed(folder, *[conversation(number, 1) for number in range(20)])
        for statistic, lacks in (("p95", 39), ("p99", 279)):
            verdict, _ = judged(folder, f"{statistic}(first_audio_latency) < 900 ms")
            [ruling] = verdict["gates"]
            assert ruling["verdict"] == "inconclusive", (
                f"{ruling['n']} turns make a {statistic} that will {ruling['verdict']}"
            )
            assert f"it takes about {lacks} more sessions like these" in ruling["reason"]
            assert ruling["high"] is None  # as far as anybody knows, it may be anything

    flaw = all_of(
        put_in("bench.verdict.sample_size.needed", lambda _: 0),
        put_in("bench.stats.quantile._widened", lambda interval, *_: interval),
    )
    caught(check, flaw, "20 turns make a p95 that will pass")


def in_two_digits(metric, turns):
    """F21: what is kept of a latency is its first two digits."""
    sample = SAMPLE(metric, turns)
    size = 10.0 ** (np.floor(np.log10(np.maximum(np.abs(sample.values), 1))) - 1)
    return sample._replace(values=np.round(sample.values / size) * size)


SAMPLE = summary.turn_sample


def test_a_quantile_is_exact_to_the_nanosecond_whatever_its_size(fresh):
    """F21: put in is a histogram of two significant digits."""
    answer = Answer(deltas=(684.567891,))
    truth = 520 + 10 + 20 + 684.567891

    def check():
        _, _, rows, _ = analysed(fresh(), *[conversation(n, 2, answer) for n in range(8)])
        off = [rows["first_audio_latency", name]["value"] - truth for name in ("p50", "p99", "max")]
        assert max(map(abs, off)) < 1e-6, f"off by {off[0]:+.1f} ms at the median"

    flaw = put_in("bench.analysis.summary.turn_sample", in_two_digits)
    caught(check, flaw, r"off by -34\.6 ms at the median")


def of_each_client(sample, quantiles, *settings):
    """F28: every client works out its own quantiles, and their mean is told."""
    found = ESTIMATES(sample, quantiles, *settings)
    clients = [sample.cluster == one for one in np.unique(sample.cluster)]
    for name in quantiles:
        own = [
            ESTIMATES(
                quantile.Sample(sample.values[one], sample.censored[one], sample.cluster[one]),
                quantiles, *settings,
            )[name].value
            for one in clients
        ]  # fmt: skip
        if own:
            found[name] = found[name]._replace(value=float(np.mean(own)))
    return found


ESTIMATES = quantile.estimates


def test_a_quantile_is_of_all_turns_and_no_mean_of_the_clients_own(fresh):
    """F28: one client of eight waits two seconds; its turns are an eighth of all."""
    slow = Answer(deltas=(1450,))

    def check():
        callers = [conversation(n, 4, slow if n == 3 else Answer()) for n in range(8)]
        _, _, rows, _ = analysed(fresh(), *callers)
        found = rows["first_audio_latency", "p95"]["value"]
        assert found == 2000, f"every eighth turn takes 2000 ms, and the p95 is {found:.0f}"

    flaw = put_in("bench.analysis.summary.estimates", of_each_client)
    caught(check, flaw, "every eighth turn takes 2000 ms, and the p95 is 994")
