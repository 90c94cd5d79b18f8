from statistics import median

from bench.reference.draws import Draws
from bench.reference.profile import Choice, Lognormal, Uniform


def test_a_draw_is_the_same_whatever_was_drawn_before():
    spread = Lognormal(median_ms=350, sigma=0.25)
    early, late = Draws(1, 5), Draws(1, 5)
    late.ns("other", spread)
    late.index("reply", 9)
    assert early.ns("first", spread, 3) == late.ns("first", spread, 3)


def test_sessions_names_and_counts_draw_apart():
    spread = Uniform(low_ms=0, high_ms=1000)
    drawn = {
        Draws(seed, number).ns(name, spread, n)
        for seed in (1, 2)
        for number in (0, 1)
        for name in ("a", "b")
        for n in (0, 1)
    }
    assert len(drawn) == 16


def test_a_constant_is_exact_and_a_choice_is_one_of_its_values():
    draws = Draws(1, 1)
    assert draws.ns("think", 12.5) == 12_500_000
    assert {draws.ns("c", Choice(of_ms=(1, 2)), n) for n in range(50)} == {1_000_000, 2_000_000}


def test_a_lognormal_has_the_median_it_is_told():
    spread = Lognormal(median_ms=350, sigma=0.25)
    drawn = [Draws(1, number).ns("first", spread) / 1e6 for number in range(2000)]
    assert 340 < median(drawn) < 360


def test_a_share_of_cases_happens_and_every_draw_is_kept():
    draws = Draws(1, 1)
    hits = sum(draws.happens("fail", 0.25, n) for n in range(2000))
    assert 430 < hits < 570
    assert len(draws.drawn) == 2000
    assert not draws.happens("never", 0.0)
    assert draws.happens("always", 1.0)
