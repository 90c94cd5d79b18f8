"""What a machine allows: told from files like those of the kernel, in a folder of its own."""

import pytest

from bench.errors import UsageError
from bench.runs.machine import opened_epoll, read_quota


@pytest.fixture
def machine(tmp_path):
    """Write the files of a machine; returns its root."""

    def write(groups, **files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, text in files.items():
            path = tmp_path / "sys/fs/cgroup" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name.replace("_of_", ".")).write_text(text)
        return tmp_path

    return write


STAT = "usage_usec 99\nnr_periods 70\nnr_throttled 12\nthrottled_usec 1200\n"


def test_the_quota_of_a_container_is_in_cores(machine):
    quota = read_quota(machine("0::/\n", cpu_of_max="150000 100000\n", cpu_of_stat=STAT))
    assert quota.cores == 1.5
    assert quota.throttled_ns() == 1_200_000


def test_of_the_groups_on_the_way_up_the_tightest_counts(machine):
    root = machine(
        "0::/box/inner/leaf\n",
        box__cpu_of_max="200000 100000\n",
        box__cpu_of_stat=STAT,
        box__inner__cpu_of_max="400000 100000\n",
        box__inner__leaf__cpu_of_max="max 100000\n",
    )
    quota = read_quota(root)
    assert (quota.cores, quota.throttled_ns()) == (2.0, 1_200_000)


@pytest.mark.parametrize("path", ["/", "/docker/of_the_host"])
def test_version_1_says_the_same_in_other_words(machine, path):
    v1 = {
        "cpu,cpuacct__cpu_of_cfs_quota_us": "50000\n",
        "cpu,cpuacct__cpu_of_cfs_period_us": "100000\n",
        "cpu,cpuacct__cpu_of_stat": "nr_periods 7\nnr_throttled 2\nthrottled_time 4000000\n",
    }
    quota = read_quota(machine(f"4:memory:{path}\n3:cpu,cpuacct:{path}\n0::/\n", **v1))
    assert (quota.cores, quota.throttled_ns()) == (0.5, 4_000_000)


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::/\n", {"cpu_of_max": "max 100000\n"}),
        ("0::/\n", {"cpu_of_max": "nonsense\n"}),
        ("0::/\n", {}),
        ("1:cpu:/\n", {"cpu__cpu_of_cfs_quota_us": "-1\n", "cpu__cpu_of_cfs_period_us": "100000"}),
        ("", {}),
    ],
)
def test_a_machine_without_a_quota_has_none(machine, groups, files):
    assert read_quota(machine(groups, **files)) is None


def test_a_machine_that_says_nothing_of_groups_has_none(tmp_path):
    assert read_quota(tmp_path) is None


def test_a_quota_whose_count_cannot_be_read_counts_nothing(machine):
    assert read_quota(machine("0::/\n", cpu_of_max="100000 100000\n")).throttled_ns() == 0


def missing():
    raise OSError(38, "Function not implemented")


@pytest.mark.parametrize("make", [None, missing], ids=["macOS", "a sandbox"])
def test_a_system_without_epoll_is_told_what_is_needed(make):
    with pytest.raises(UsageError, match=r"this system has none .*: run the bench on Linux"):
        opened_epoll(make)
