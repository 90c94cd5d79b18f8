from statistics import median

from bench.plan.random_duration import Discrete, Lognormal, Uniform
from bench.reference.draws import Chance, SessionDraws


def test_a_draw_is_the_same_whatever_was_drawn_before():
    spread = Lognormal(median_ms=350, sigma=0.25)
    early, late = SessionDraws(1, 5), SessionDraws(1, 5)
    late.ns("other", spread)
    late.index("reply", 9)
    assert early.ns("first", spread, 3) == late.ns("first", spread, 3)


def test_sessions_names_and_counts_draw_apart():
    spread = Uniform(low_ms=0, high_ms=1000)
    drawn = {
        SessionDraws(seed, number).ns(name, spread, n)
        for seed in (1, 2)
        for number in (0, 1)
        for name in ("a", "b")
        for n in (0, 1)
    }
    assert len(drawn) == 16


def test_a_constant_is_exact_and_a_choice_is_one_of_its_values():
    draws = SessionDraws(1, 1)
    assert draws.ns("think", 12.5) == 12_500_000
    assert {draws.ns("c", Discrete(of_ms=(1, 2)), n) for n in range(50)} == {1_000_000, 2_000_000}


def test_a_lognormal_has_the_median_it_is_told():
    spread = Lognormal(median_ms=350, sigma=0.25)
    drawn = [SessionDraws(1, number).ns("first", spread) / 1e6 for number in range(2000)]
    assert 340 < median(drawn) < 360


def test_a_share_of_cases_happens_and_every_draw_is_kept():
    draws = SessionDraws(1, 1)
    hits = sum(draws.happens("fail", 0.25, n) for n in range(2000))
    assert 430 < hits < 570
    assert len(draws.drawn) == 2000
    assert not draws.happens("never", 0.0)
    assert draws.happens("always", 1.0)


def test_a_rate_with_a_seed_of_its_own_falls_on_other_cases_and_moves_nothing_else():
    def cases(rate):
        draws = SessionDraws(1, 1)
        return [draws.happens("fail", rate, n) for n in range(200)], draws.index("reply", 99)

    assert cases(Chance(rate=0.3)) == cases(0.3) == cases(Chance(rate=0.3, seed=1))
    assert cases(Chance(rate=0.3, seed=2))[0] != cases(0.3)[0]
    assert cases(Chance(rate=0.3, seed=2))[1] == cases(0.3)[1]


def test_one_among_several_has_its_share_and_what_is_left_is_none():
    draws = SessionDraws(1, 1)
    shares = {"a": 0.5, "b": 0.25}
    drawn = [draws.among("kind", shares, n) for n in range(2000)]
    assert 930 < drawn.count("a") < 1070
    assert 430 < drawn.count("b") < 570
    assert drawn.count(None) == 2000 - drawn.count("a") - drawn.count("b")
    assert [one.value for one in draws.drawn[:2000]] == [
        {"a": 0.0, "b": 1.0, None: -1.0}[word] for word in drawn
    ]
