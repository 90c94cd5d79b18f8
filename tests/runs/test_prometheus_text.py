"""Prometheus' text: what is read of it, and which of it a run watches."""

import pytest

from bench.errors import UsageError
from bench.runs.gauges import CPU_BUSY, Series
from bench.runs.prometheus_text import (
    MOST_DEFAULT,
    MOST_LINE,
    MOST_SERIES,
    choice_of,
    default_choice,
    kind_of,
    read_exposition,
    sampled,
)

BENCH = """\
# HELP process_cpu_seconds_total CPU time.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 5e+08
# TYPE bench_sessions_open gauge
bench_sessions_open 20
# TYPE bench_responses_running gauge
bench_responses_running 4
# TYPE bench_responses_waiting gauge
bench_responses_waiting 7
# TYPE bench_slots gauge
bench_slots 4
# TYPE bench_turns_total counter
bench_turns_total 99
"""
VLLM = """\
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{generation="0"} 11
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 100
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a/b"} 3
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="a/b"} 9
# TYPE vllm:request_queue_time_seconds histogram
vllm:request_queue_time_seconds_bucket{le="0.3"} 1
vllm:request_queue_time_seconds_bucket{le="+Inf"} 2
vllm:request_queue_time_seconds_count 2
vllm:request_queue_time_seconds_sum 0.5
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0"} 0.4
"""
NODE = "# TYPE node_cpu_seconds_total counter\n" + "".join(
    f'node_cpu_seconds_total{{cpu="{core}",mode="{mode}"}} {seconds}\n'
    for core in range(4)
    for mode, seconds in (("idle", 100), ("iowait", 5), ("user", 30 + core), ("system", 10))
)
GPUS = "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n" + "".join(
    f'DCGM_FI_DEV_GPU_UTIL{{gpu="{card}"}} {10 * card}\n' for card in range(16)
)


def watched(choice):
    return [one.text for one in choice.selectors]


def test_samples_have_names_labels_values_and_whether_they_only_grow():
    text = (
        '# TYPE a counter\na{z="1",b="x,\\"y\\""} 3\n# TYPE b_total counter\nb_total 4 1700000000\n'
        "# TYPE c gauge\nc -1.5\nd_total 6\ne 7\n"
        '# TYPE h histogram\nh_bucket{le="1"} 2\nh_count 2\nh_sum 1\n'
        '# TYPE s summary\ns{quantile="0.5"} 2\ns_count 2\n'
    )
    found = {one.name: (one.labels, one.value, one.counter) for one in read_exposition(text)}
    assert found == {
        "a": ((("b", 'x,"y"'), ("z", "1")), 3, True),  # not a_total, as the parser calls it
        "b_total": ((), 4, True),
        "c": ((), -1.5, False),
        "d_total": ((), 6, True),
        "e": ((), 7, False),
        "h_bucket": ((("le", "1"),), 2, True),
        "h_count": ((), 2, True),
        "h_sum": ((), 1, True),
        "s": ((("quantile", "0.5"),), 2, False),
        "s_count": ((), 2, True),
    }
    (first, *_) = read_exposition(text)
    assert first.series == Series("a", 'b="x,\\"y\\"",z="1"')


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "<html><body>Not found</body></html>", '{"status": "ok"}', "OK",
     "404 page not found\n", "a,b\n1,2\n", 'a{b="c 1', "\x00\x01\x02 3", "[1, 2]",
     f'a{{b="{"x" * MOST_LINE}"}} 1'],
)  # fmt: skip
def test_what_is_no_prometheus_text_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        read_exposition(text)


def test_a_line_beyond_all_measure_is_not_parsed_at_all():
    with pytest.raises(ValueError, match="a line has 2000001 characters"):
        read_exposition('"' + "\\" * 2_000_000)


def test_the_cpu_of_a_host_is_one_counter_its_cores_average():
    (busy,) = [one for one in read_exposition(NODE) if one.name == CPU_BUSY]
    assert busy.value == pytest.approx(41.5)  # user and system; neither idle nor iowait
    assert busy.counter


def test_unasked_it_watches_what_the_reference_server_says():
    assert watched(default_choice(read_exposition(BENCH))) == [
        "process_cpu_seconds_total", "bench_responses_running", "bench_responses_waiting",
        "bench_sessions_open", "process_resident_memory_bytes", "bench_slots",
    ]  # fmt: skip


def test_unasked_it_watches_queue_and_cache_of_an_inference_server_and_no_times():
    assert watched(default_choice(read_exposition(VLLM))) == [
        "process_cpu_seconds_total", 'vllm:num_requests_running{engine="0",model_name="a/b"}',
        'vllm:num_requests_waiting{engine="0",model_name="a/b"}',
        'vllm:kv_cache_usage_perc{engine="0"}',
    ]  # fmt: skip


def test_unasked_the_host_stands_before_its_exporters_own_process():
    both = NODE + BENCH
    assert watched(default_choice(read_exposition(both)))[0] == CPU_BUSY


def test_unasked_every_kind_has_a_series_before_one_has_two():
    choice = default_choice(read_exposition(GPUS + BENCH))
    assert len(choice.selectors) == MOST_DEFAULT
    assert watched(choice)[:2] == ['DCGM_FI_DEV_GPU_UTIL{gpu="0"}', 'DCGM_FI_DEV_GPU_UTIL{gpu="1"}']
    assert watched(choice)[2:] == watched(default_choice(read_exposition(BENCH)))


@pytest.mark.parametrize("name", ["my_open_sessions", "http_requests_in_flight", "jobs_queue_depth",
                                  "worker_cpu_usage_ratio"])  # fmt: skip
def test_unasked_it_knows_the_words_that_servers_use(name):
    assert watched(default_choice(read_exposition(f"# TYPE {name} gauge\n{name} 3\n"))) == [name]


@pytest.mark.parametrize(
    "text",
    ["promhttp_metric_handler_requests_in_flight 1\n",
     "# TYPE queue_wait_seconds gauge\nqueue_wait_seconds 1\n",
     "# TYPE requests_pending_total counter\nrequests_pending_total 3\n"],
)  # fmt: skip
def test_unasked_it_takes_no_time_no_count_and_no_exporters_own(text):
    with pytest.raises(UsageError, match="name what to watch with --gauge; valid are"):
        default_choice(read_exposition(text))


def test_asked_it_watches_exactly_that_with_every_label_set():
    choice = choice_of(["DCGM_FI_DEV_GPU_UTIL", "bench_slots"], read_exposition(GPUS + BENCH))
    found = sampled(GPUS + BENCH, choice)
    assert len(found) == 17
    assert {one.name for one in found} == {"DCGM_FI_DEV_GPU_UTIL", "bench_slots"}


def test_asked_by_some_of_its_labels_it_watches_those_that_have_them():
    asked = ['node_cpu_seconds_total{mode="user"}']
    found = sampled(NODE, choice_of(asked, read_exposition(NODE)))
    assert [one.value for one in found] == [30, 31, 32, 33]
    assert all(one.counter for one in found)  # though no TYPE line is parsed any more


def test_a_scrape_of_the_hosts_cpu_is_made_of_its_cores():
    choice = choice_of([CPU_BUSY], read_exposition(NODE))
    assert [one.series for one in sampled(NODE, choice)] == [Series(CPU_BUSY)]


def test_only_the_lines_that_are_watched_are_parsed_during_a_run():
    choice = choice_of(["bench_slots"], read_exposition(BENCH))
    (one,) = sampled("this is no metric\nbench_slots_more 1\nbench_slots 9\n", choice)
    assert one.value == 9


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("bench_respones_waiting", ["no such metric", "did you mean 'bench_responses_waiting'"]),
        ("sessions", ["did you mean", "'bench_sessions_open'"]),
        ("zzz", ["valid are: bench_responses_running", "and 2 more"]),
        ('bench_slots{a="b"}', ["no such labels there; it has {}"]),
        ("9lives", ["give the name of a metric"]),
        ("bench_slots{", ["give the name of a metric"]),
        ("bench_slots{a=b}", ["give the name of a metric"]),
        ("bench_slots 1\nx", ["give the name of a metric"]),
        ("", ["give the name of a metric"]),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(asked, words):
    with pytest.raises(UsageError) as refused:
        choice_of([asked], read_exposition(BENCH))
    assert str(refused.value).startswith(f"--gauge {asked!r}: ")
    assert "\n" not in str(refused.value)
    for word in words:
        assert word in str(refused.value)


def test_labels_that_are_not_there_are_refused_with_some_that_are():
    with pytest.raises(UsageError, match=r'it has \{gpu="0"\}, .* and 11 more'):
        choice_of(['DCGM_FI_DEV_GPU_UTIL{gpu="99"}'], read_exposition(GPUS))


def test_a_name_with_too_many_series_is_refused_with_how_to_narrow_it():
    text = "".join(f'x_bucket{{le="{n}"}} 1\n' for n in range(MOST_SERIES + 1))
    with pytest.raises(
        UsageError, match=r"33 series, at most 32 .* --gauge 'x_bucket\{le=\"0\"\}'"
    ):
        choice_of(["x_bucket"], read_exposition(text))


def test_a_name_says_what_it_tells():
    assert kind_of("DCGM_FI_DEV_GPU_UTIL") == "gpu"
    assert kind_of("process_cpu_seconds_total") == "cpu"
    assert kind_of("bench_responses_waiting") == "waiting"
    assert kind_of("something_else") == ""
