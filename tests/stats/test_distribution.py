"""Quantiles and tails are those of `scipy.stats`, which takes long to import and is in no run."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from bench.stats.distribution import (
    beta_quantile,
    binomial_quantile,
    gamma_quantile,
    normal_below,
    normal_quantile,
    student_beyond,
    student_quantile,
)

SHARES = (1e-6, 0.001, 0.025, 0.3, 0.5, 0.8, 0.95, 0.975, 0.999999)
CLOSE = {"rel": 1e-12, "abs": 0}


@pytest.mark.parametrize("q", SHARES)
def test_a_normal_quantile_and_what_lies_below_it(q):
    assert normal_quantile(q) == pytest.approx(stats.norm.ppf(q), **CLOSE)
    assert normal_below(normal_quantile(q)) == pytest.approx(q, rel=1e-9)
    assert normal_below(-40 * q) == pytest.approx(stats.norm.cdf(-40 * q), **CLOSE)


def test_students_t_by_array():
    freedom = np.array([1.0, 2, 3.7, 9, 98, 1e6, np.inf, np.nan, 0])
    for q in SHARES:
        expected = stats.t.ppf(q, freedom)
        np.testing.assert_allclose(student_quantile(q, freedom), expected, rtol=1e-12)
    for at in (-3.0, 0.0, 0.1, 2.0, 40.0, math.inf):
        np.testing.assert_allclose(student_beyond(at, freedom), stats.t.sf(at, freedom), rtol=1e-12)


def test_beta_quantiles_of_shares_of_any_number():
    for n in (1, 2.5, 17, 300.3, 1e5):
        for hits in np.linspace(0, n, 7)[1:-1]:
            for q in SHARES:
                expected = stats.beta.ppf(q, hits, n - hits + 1)
                assert beta_quantile(q, hits, n - hits + 1) == pytest.approx(expected, **CLOSE)


def test_gamma_quantiles_are_half_of_those_of_chi_square():
    for events in (1, 2, 3, 10, 999, 10**6):
        for q in SHARES:
            expected = stats.chi2.ppf(q, 2 * events) / 2
            assert gamma_quantile(q, events) == pytest.approx(expected, **CLOSE)


def test_binomial_quantiles_are_whole_and_exact():
    for share in (0.001, 0.05, 0.1, 0.5, 1 - 0.9, 0.9, 0.95, 0.99, 0.999):
        for n in (*range(1, 120), 299, 1000, 12_345, 999_999):
            for q in (0.025, 0.95):
                assert binomial_quantile(q, n, share) == stats.binom.ppf(q, n, share)


def test_no_room_of_the_program_imports_scipy_stats():
    code = (
        "import importlib, pkgutil, sys, bench\n"
        "for room in ('analysis', 'capacity', 'compare', 'report', 'stats', 'verdict'):\n"
        "    path = importlib.import_module(f'bench.{room}').__path__\n"
        "    for found in pkgutil.walk_packages(path, f'bench.{room}.'):\n"
        "        importlib.import_module(found.name)\n"
        "print('scipy.stats' in sys.modules, 'scipy.special' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "True"]
