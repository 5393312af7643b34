"""Draws are held against theory (uniformity, strata, convergence rates), scipy's generators and closed forms."""

import pickle
from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, ndtr
from scipy.stats import qmc

from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.draws import (
    KINDS,
    Draws,
    _fill,
    _halton,
    as_draws,
    halton_sequence,
    quadrature,
)
from choicemodel.rng import KeyedSource, combine, mix, seed_key

MADE = ("sobol", "halton", "scrambled-halton", "mlhs", "antithetic", "pseudo")
EVEN = ("sobol", "halton", "scrambled-halton", "mlhs")
NUMBERS = (1, 2, 3, 7, 64, 500)
# made by the first version; draws of a stored seed must stay as they are
KNOWN = {
    "sobol": [
        [0.41540986812906067, 0.7363908602302719, 0.872720957478106],
        [0.2582658654324138, 0.7153346932526402, 0.2425504925151104],
    ],
    "scrambled-halton": [
        [0.872511725848912, 0.372511725848912, 0.622511725848912],
        [0.9815101053139618, 0.3148434386472948, 0.6481767719806281],
    ],
}


def keys_of(n, first=1):
    return mix(np.arange(first, first + n, dtype=np.uint64))


@pytest.fixture(params=MADE)
def kind(request):
    return request.param


class TestUniforms:
    @pytest.mark.parametrize("number", NUMBERS)
    def test_any_number_inside_the_interval_without_a_warning(self, kind, number):
        u = Draws(kind, number, rng=0).uniforms(keys_of(40), 3)
        assert u.shape == (40, 3, number)
        assert u.min() > 0
        assert u.max() < 1

    def test_inside_the_interval_in_the_first_and_last_cell(self):
        # a uniform draw in the first or the last of 2**52 cells is too rare to wait for
        ones, zeros = np.full((1, 1, 4), 2**52 - 1, dtype=np.uint64), np.zeros((1, 1, 4), dtype=np.uint64)
        for name, shared in product(("sobol", "halton"), (ones, zeros)):
            out = np.empty((1, 1, 4))
            _fill(name, shared[0], np.zeros((1, 1), dtype=np.uint64), out)
            expected = 1 - 2.0**-53 if shared is ones else 2.0**-53
            assert (out == expected).all()

    @pytest.mark.parametrize("which", [0, 17, 63])
    def test_each_draw_is_uniform_over_persons(self, kind, which):
        u = Draws(kind, 64, rng=3).uniforms(keys_of(4_000), 3)
        for d in range(3):
            assert stats.kstest(u[:, d, which], "uniform").pvalue > 1e-4

    def test_two_dimensions_of_a_draw_are_independent_over_persons(self, kind):
        u = Draws(kind, 16, rng=5).uniforms(keys_of(6_000), 2)
        counts = np.histogram2d(u[:, 0, 9], u[:, 1, 9], bins=6)[0]
        assert stats.chisquare(counts.ravel()).pvalue > 1e-4

    def test_persons_are_independent(self, kind):
        u = Draws(kind, 16, rng=5).uniforms(keys_of(6_000), 1)[:, 0, 3]
        counts = np.histogram2d(u[::2], u[1::2], bins=6)[0]
        assert stats.chisquare(counts.ravel()).pvalue > 1e-4

    def test_pseudo_numbers_are_uniform_and_uncorrelated_within_a_person(self):
        u = Draws("pseudo", 20_000, rng=1).uniforms(keys_of(1), 2)[0]
        assert stats.kstest(u[0], "uniform").pvalue > 1e-4
        correlation = np.corrcoef([u[0, :-1], u[0, 1:], u[1, :-1]])
        assert np.abs(correlation[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(20_000)

    def test_tastes_simulated_with_the_same_seed_are_not_the_shifts(self):
        # simulation hashes (person, seed) too: equal numbers would tie the draws to the truth
        keys = keys_of(2_000)
        simulated = KeyedSource(combine(keys, np.array([seed_key(7)]))).random((2_000, 2))
        for name in MADE:
            u = Draws(name, 1, rng=7).uniforms(keys, 2)[:, :, 0]
            assert np.abs(np.corrcoef(u[:, 0], simulated[:, 0])[0, 1]) < 4 / np.sqrt(2_000)


class TestKeys:
    def test_order_and_subset_change_nobodys_draws(self, kind):
        draws, keys = Draws(kind, 50, rng=0), keys_of(300)
        u = draws.uniforms(keys, 3)
        order = np.random.default_rng(0).permutation(300)[:120]
        assert (draws.uniforms(keys[order], 3) == u[order]).all()

    def test_blocks_are_the_same_numbers_in_an_array_of_the_callers(self, kind):
        draws, keys = Draws(kind, 333, rng=0), keys_of(101)
        whole = draws.uniforms(keys, 2)
        space = np.full((8, 2, 333), np.nan)
        for first in range(0, 101, 8):
            n = min(8, 101 - first)
            block = draws.uniforms(keys[first : first + 8], 2, out=space[:n])
            assert np.shares_memory(block, space)
            assert (block == whole[first : first + 8]).all()

    def test_seed_decides(self, kind):
        keys = keys_of(5)
        u = Draws(kind, 32, rng=0).uniforms(keys, 2)
        assert (Draws(kind, 32, rng=0).uniforms(keys, 2) == u).all()
        assert not np.isclose(Draws(kind, 32, rng=1).uniforms(keys, 2), u).any()

    def test_persons_and_dimensions_differ(self, kind):
        u = Draws(kind, 32, rng=0).uniforms(keys_of(2), 2)
        assert not np.isclose(u[0], u[1]).any()
        assert not np.isclose(u[:, 0], u[:, 1]).any()

    def test_one_coefficient_more_leaves_the_draws_of_the_others(self, kind):
        draws, keys = Draws(kind, 20, rng=0), keys_of(4)
        assert (draws.uniforms(keys, 3)[:, :2] == draws.uniforms(keys, 2)).all()

    @pytest.mark.parametrize("name", [k for k in MADE if k != "mlhs"])
    def test_more_draws_begin_with_the_fewer(self, name):
        draws, keys = Draws(name, 25, rng=0), keys_of(4)
        assert (draws.with_number(100).uniforms(keys, 2)[:, :, :25] == draws.uniforms(keys, 2)).all()

    @pytest.mark.parametrize("name", KNOWN)
    def test_a_seed_means_the_same_in_every_version(self, name):
        u = Draws(name, 3, rng=1).uniforms(np.array([5], dtype=np.uint64), 2)
        assert u[0] == pytest.approx(np.array(KNOWN[name]), abs=1e-15)

    def test_no_persons_and_no_coefficients(self, kind):
        draws = Draws(kind, 8, rng=0)
        assert draws.uniforms(keys_of(0), 2).shape == (0, 2, 8)
        assert draws.uniforms(keys_of(3), 0).shape == (3, 0, 8)


class TestEvenness:
    @pytest.mark.parametrize(("name", "bound"), [("sobol", 0.2), ("halton", 0.3), ("scrambled-halton", 0.3)])
    def test_discrepancy_is_far_below_that_of_pseudo_draws(self, name, bound):
        keys = keys_of(10)
        pseudo = np.mean([qmc.discrepancy(u.T) for u in Draws("pseudo", 256, rng=0).uniforms(keys, 2)])
        even = np.mean([qmc.discrepancy(u.T) for u in Draws(name, 256, rng=0).uniforms(keys, 2)])
        assert even < bound * pseudo

    def test_sobol_points_stay_a_net_for_every_person(self):
        # a (0, 6, 2)-net in base 2: one of 64 points in each of the boxes of 2^-j by 2^-(6 - j), whatever the shift
        for u in Draws("sobol", 64, rng=9).uniforms(keys_of(20), 2):
            for j in range(7):
                box = np.floor(u[0] * 2**j) * 2 ** (6 - j) + np.floor(u[1] * 2 ** (6 - j))
                assert sorted(box) == list(range(64))

    def test_halton_points_are_evenly_spaced_when_their_number_is_a_power_of_the_base(self):
        u = np.sort(Draws("halton", 3**5, rng=9).uniforms(keys_of(20), 2)[:, 1], axis=1)
        assert np.diff(u, axis=1) == pytest.approx(3.0**-5, abs=1e-12)

    def test_scrambled_halton_points_have_one_in_each_cell_before_the_shift(self):
        for dimension, base, power in ((0, 2, 7), (1, 3, 5), (4, 11, 2), (30, 127, 1)):
            x = _halton(dimension, base, base**power, seed=4)
            assert sorted(np.floor(x * base**power)) == list(range(base**power))

    def test_latin_hypercube_is_a_moved_grid_in_random_order(self):
        u = Draws("mlhs", 500, rng=2).uniforms(keys_of(30), 2)
        ordered = np.sort(u, axis=2)
        assert np.diff(ordered, axis=2) == pytest.approx(1 / 500, abs=1e-12)
        assert ((ordered[:, :, 0] > 0) & (ordered[:, :, 0] < 1 / 500)).all()
        # the orders of the two coefficients do not know each other
        correlation = [np.corrcoef(person)[0, 1] for person in u]
        assert np.abs(np.mean(correlation)) < 4 / np.sqrt(500 * 30)
        assert np.std(correlation) == pytest.approx(1 / np.sqrt(500), rel=0.5)

    @pytest.mark.parametrize("number", [6, 7])
    def test_antithetic_draws_come_with_their_mirror_image(self, number):
        u = Draws("antithetic", number, rng=2).uniforms(keys_of(9), 3)
        assert (u[:, :, 1:6:2] == 1 - u[:, :, 0:6:2]).all()
        assert np.unique(u[:, :, ::2]).size == u[:, :, ::2].size

    def test_errors_of_a_mixed_logit_probability_fall_faster_than_those_of_pseudo_draws(self):
        """Probability of 8 choices of a person with 2 normal coefficients; the truth is a quadrature."""
        x = np.random.default_rng(3).normal(size=(8, 2))

        def probability(z):  # (..., 2, R) -> (..., R)
            return expit(np.einsum("td,...dr->...tr", x, 0.3 + 1.2 * z)).prod(axis=-2)

        nodes, log_weights = quadrature(["normal", "normal"], 120)
        truth = np.exp(log_weights) @ probability(nodes.T)
        few, many = 64, 1024
        rate, error = {}, {}
        for name in MADE:
            square = {}
            for number in (few, many):
                found = [
                    probability(Draws(name, number, rng=seed).standard(keys_of(40), ["normal"] * 2)).mean(axis=-1)
                    for seed in range(4)
                ]
                square[number] = np.sqrt(np.mean((np.array(found) / truth - 1) ** 2))
                bias = np.mean(found) / truth - 1
                # given the set that persons share, their errors are independent and of mean zero
                assert abs(bias) < 4 * square[number] / np.sqrt(160)
            rate[name] = np.log(square[many] / square[few]) / np.log(many / few)
            error[name] = square[many]
        assert rate["pseudo"] == pytest.approx(-0.5, abs=0.15)
        assert rate["sobol"] < -1.0
        assert rate["halton"] < -0.75
        assert rate["scrambled-halton"] < -0.75
        assert error["sobol"] < error["pseudo"] / 20
        assert error["halton"] < error["pseudo"] / 7
        assert error["mlhs"] < error["antithetic"] < error["pseudo"]


class TestHaltonSequence:
    @pytest.mark.parametrize(("dimension", "base"), list(enumerate((2, 3, 5, 7, 11, 13))))
    def test_against_scipy(self, dimension, base):
        expected = qmc.Halton(6, scramble=False).random(300)[:, dimension]
        assert halton_sequence(300, base) == pytest.approx(expected, abs=1e-14)

    def test_start(self):
        assert (halton_sequence(50, 3, start=100) == halton_sequence(150, 3)[100:]).all()

    def test_published_beginning(self):
        # Train (2009), section 9.3.3: the sequence of 3
        expected = [1 / 3, 2 / 3, 1 / 9, 4 / 9, 7 / 9, 2 / 9, 5 / 9, 8 / 9, 1 / 27]
        assert halton_sequence(9, 3, start=1) == pytest.approx(expected)


class TestStandardVariates:
    def test_uniforms_come_back_through_the_distribution_functions(self):
        draws, keys = Draws("sobol", 100, rng=0), keys_of(7)
        u, z = draws.uniforms(keys, 3), draws.standard(keys, ["normal", "uniform", "triangular"])
        assert ndtr(z[:, 0]) == pytest.approx(u[:, 0])
        assert stats.uniform(-1, 2).cdf(z[:, 1]) == pytest.approx(u[:, 1])
        assert stats.triang(0.5, -1, 2).cdf(z[:, 2]) == pytest.approx(u[:, 2])

    def test_an_unknown_variate(self):
        with pytest.raises(SpecificationError, match=r"'gaussian' is no standard variate.* 'normal', 'uni"):
            Draws("pseudo", 4, rng=0).standard(keys_of(2), ["gaussian"])
        with pytest.raises(SpecificationError, match="Did you mean 'triangular'"):
            quadrature(["triangle"], 10)


class TestGiven:
    def values(self, persons=4, number=10, coefficients=3):
        return np.random.default_rng(0).standard_normal((persons, number, coefficients))

    def test_they_are_taken_as_they_are(self):
        values = self.values()
        draws = Draws.given(values)
        assert (draws.kind, draws.number, draws.seed) == ("given", 10, None)
        z = draws.standard(keys_of(4), ["normal"] * 3)
        assert (z == values.transpose(0, 2, 1)).all()

    def test_they_are_a_copy_that_cannot_be_written(self):
        values = self.values()
        draws = Draws.given(values)
        before = values.copy()
        values[:] = 0
        assert draws.array is not None
        assert (draws.standard(keys_of(4), ["normal"] * 3) == before.transpose(0, 2, 1)).all()
        with pytest.raises(ValueError, match="read-only"):
            draws.array.kept[0, 0, 0] = 1

    def test_parts_of_the_persons_once_it_is_said_whose_they_are(self):
        values, keys = self.values(), keys_of(4)
        draws = Draws.given(values).for_persons(keys)
        out = np.empty((2, 3, 10))
        z = draws.standard(keys[[3, 1]], ["normal"] * 3, out=out)
        assert z is out
        assert (z == values.transpose(0, 2, 1)[[3, 1]]).all()

    def test_made_draws_belong_to_everybody(self):
        draws = Draws("sobol", 8, rng=0)
        assert draws.for_persons(keys_of(4)) is draws

    def test_equal_where_the_values_are(self):
        assert Draws.given(self.values()) == Draws.given(self.values())
        assert Draws.given(self.values()) != Draws.given(self.values() + 1)
        assert hash(Draws.given(self.values())) == hash(Draws.given(self.values()))

    @pytest.mark.parametrize(
        ("keys", "coefficients", "message"),
        [
            (keys_of(5), 3, r"given for 4 persons \(their first axis\), but the data have 5"),
            (keys_of(4), 2, r"are for 3 random coefficients \(their last axis\), but the model has 2"),
        ],
    )
    def test_another_number_of_persons_or_coefficients(self, keys, coefficients, message):
        with pytest.raises(SpecificationError, match=message):
            Draws.given(self.values()).standard(keys, ["normal"] * coefficients)

    def test_unknown_persons(self):
        draws = Draws.given(self.values()).for_persons(keys_of(4))
        with pytest.raises(SpecificationError, match=r"2 of the 4 persons asked about .* \(the first is number 3\)"):
            draws.standard(keys_of(4, first=3), ["normal"] * 3)

    @pytest.mark.parametrize("array", [np.zeros((4, 3)), np.zeros((4, 0, 3)), 1.0])
    def test_another_shape(self, array):
        with pytest.raises(SpecificationError, match=r"\(person, draw, coefficient\) that is not empty; got the shape"):
            Draws.given(array)

    def test_not_finite(self):
        values = self.values()
        values[1, 2, 0] = np.inf
        values[2, 0, 0] = np.nan
        with pytest.raises(SpecificationError, match=r"2 are not, the first is inf at \[1, 2, 0\]"):
            Draws.given(values)

    @pytest.mark.parametrize("array", [[[["a"]]], [[[1.0], [2.0, 3.0]]], object()])
    def test_not_numbers(self, array):
        with pytest.raises(SpecificationError, match="must be an array of numbers"):
            Draws.given(array)


class TestRecord:
    def test_default(self):
        draws = Draws(rng=0)
        assert (draws.kind, draws.number, draws.seed) == ("sobol", 512, 0)
        assert draws == Draws("sobol", 512, rng=0)

    @pytest.mark.parametrize("name", ["auto", "quadrature"])
    def test_kinds_whose_number_is_found_later(self, name):
        assert Draws(name, rng=0).number is None

    def test_a_quadrature_has_no_seed(self):
        assert Draws("quadrature", 40) == Draws("quadrature", 40)

    def test_without_rng_the_seed_is_drawn_once_and_kept(self):
        first, second = Draws("sobol", 8), Draws("sobol", 8)
        assert first.seed != second.seed
        assert (first.uniforms(keys_of(2), 2) == first.uniforms(keys_of(2), 2)).all()
        assert Draws("sobol", 8, rng=first.seed) == first

    def test_a_generator_becomes_a_seed_at_once(self):
        draws = Draws("sobol", 8, rng=np.random.default_rng(0))
        assert draws == Draws("sobol", 8, rng=np.random.default_rng(0))
        assert isinstance(draws.seed, int)

    def test_frozen(self):
        with pytest.raises(AttributeError):
            Draws(rng=0).number = 3

    def test_auto_becomes_sobol_once_it_has_a_number(self):
        assert Draws("auto", rng=3).with_number(64) == Draws("sobol", 64, rng=3)

    @pytest.mark.parametrize("draws", [*(Draws(k, rng=1) for k in KINDS), Draws("sobol", 99, rng=2**70)])
    def test_description(self, draws):
        assert Draws.from_dict(draws.to_dict()) == draws

    def test_description_of_given_draws_lacks_the_values(self):
        draws = Draws.given(np.ones((2, 3, 1)))
        read = Draws.from_dict(draws.to_dict())
        assert read == draws
        with pytest.raises(SpecificationError, match=r"a results file does not hold\. Give the array again"):
            read.standard(keys_of(2), ["normal"])

    def test_another_process_makes_the_same_draws(self):
        draws, keys = Draws("sobol", 8, rng=0), keys_of(2)
        there = pickle.loads(pickle.dumps(draws))  # noqa: S301 - our own bytes, as a process pool sends them
        assert (there.uniforms(keys, 2) == draws.uniforms(keys, 2)).all()

    def test_what_a_user_may_write(self):
        assert as_draws("halton").kind == "halton"
        draws = Draws("sobol", 8, rng=0)
        assert as_draws(draws) is draws
        assert as_draws(np.ones((2, 3, 1))) == Draws.given(np.ones((2, 3, 1)))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("sobool",), "'sobool' is no kind of draws. Did you mean 'sobol'"),
            (("Halton",), "Did you mean 'halton'"),
            (("xyz",), "There are 'sobol', 'halton'"),
            (("given",), r"use cm.Draws.given\(array\)"),
            ((np.ones((2, 3, 1)),), r"The kind of draws is a name.* got ndarray.*cm.Draws.given\(array\)"),
            (("sobol", 0), "a whole number of 1 or more; got 0"),
            (("sobol", -3), "got -3"),
            (("sobol", 2.5), "got 2.5"),
            (("sobol", True), "got True"),
            (("sobol", "many"), "got 'many'"),
            (("quadrature", 0), "got 0"),
            (("auto", 100), r'find their number themselves; 100 .* cm.Draws\("sobol", 100\)'),
            (("sobol", 10, -1), "rng must be"),
        ],
    )
    def test_refused(self, arguments, message):
        with pytest.raises(SpecificationError, match=message):
            Draws(*arguments)

    @pytest.mark.parametrize(
        ("draws", "message"),
        [
            (Draws("auto"), "have no number yet"),
            (Draws("quadrature", 10), "has nodes with weights, not draws"),
            (Draws.given(np.ones((2, 3, 1))), "given are not uniform numbers"),
        ],
    )
    def test_nothing_uniform_to_make(self, draws, message):
        with pytest.raises(SpecificationError, match=message):
            draws.uniforms(keys_of(2), 1)

    def test_given_draws_cannot_become_more(self):
        with pytest.raises(SpecificationError, match="are 3 for each person"):
            Draws.given(np.ones((2, 3, 1))).with_number(6)


# E x^p; for the triangular density 1 - |t|, 2 / ((p + 1)(p + 2))
MOMENT = {
    "normal": lambda p: float(np.prod(np.arange(p - 1, 0, -2))),
    "uniform": lambda p: 1 / (p + 1),
    "triangular": lambda p: 2 / ((p + 1) * (p + 2)),
}
# E exp(s x)
EXPONENTIAL = {
    "normal": lambda s: np.exp(s**2 / 2),
    "uniform": lambda s: np.sinh(s) / s,
    "triangular": lambda s: 2 * (np.cosh(s) - 1) / s**2,
}


class TestQuadrature:
    @pytest.mark.parametrize("variate", MOMENT)
    @pytest.mark.parametrize("number", [80, 81, 200])
    def test_moments_and_exponentials(self, variate, number):
        nodes, log_weights = quadrature([variate], number)
        w, x = np.exp(log_weights), nodes[:, 0]
        assert nodes.shape == (len(w), 1)
        assert len(w) == number + (number % 2 if variate == "triangular" else 0)
        assert w.sum() == pytest.approx(1, abs=1e-13)
        for p in range(9):
            expected = MOMENT[variate](p) if p % 2 == 0 else 0
            assert w @ x**p == pytest.approx(expected, rel=1e-12, abs=1e-12)
        for s in (-1.0, 0.5, 1.0):
            assert w @ np.exp(s * x) == pytest.approx(EXPONENTIAL[variate](s), rel=1e-12)

    @pytest.mark.parametrize(("first", "second"), list(product(MOMENT, repeat=2)))
    def test_product_rule(self, first, second):
        nodes, log_weights = quadrature([first, second], 70)
        assert nodes.shape == (4900, 2)
        w, x, y = np.exp(log_weights), nodes[:, 0], nodes[:, 1]
        assert w.sum() == pytest.approx(1, abs=1e-13)
        expected = EXPONENTIAL[first](0.7) * EXPONENTIAL[second](-0.4)
        assert w @ np.exp(0.7 * x - 0.4 * y) == pytest.approx(expected, rel=1e-12)
        expected = MOMENT[first](2) * MOMENT[second](4)
        assert w @ (x**2 * y**4) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("number", [1, 2, 3, 5])
    @pytest.mark.parametrize("variate", MOMENT)
    def test_few_nodes_are_symmetric(self, variate, number):
        nodes, log_weights = quadrature([variate], number)
        assert np.exp(log_weights).sum() == pytest.approx(1)
        assert np.exp(log_weights) @ nodes[:, 0] == pytest.approx(0, abs=1e-14)

    def test_a_mixed_logit_probability(self):
        from scipy.integrate import quad

        nodes, log_weights = quadrature(["normal"], 60)
        found = np.exp(log_weights) @ expit(0.4 + 1.5 * nodes[:, 0])
        truth = quad(lambda z: expit(0.4 + 1.5 * z) * stats.norm.pdf(z), -12, 12, epsabs=1e-13)[0]
        assert found == pytest.approx(truth, abs=1e-11)

    def test_more_dimensions_are_refused_with_the_remedy(self):
        with pytest.raises(SpecificationError, match=r'there are 3\..* 40\^3 nodes .* cm.Draws\("sobol", 512\)'):
            quadrature(["normal", "uniform", "normal"], 40)
        with pytest.raises(SpecificationError, match="one or two random coefficients; there are none"):
            quadrature([], 40)

    def test_no_nodes(self):
        with pytest.raises(SpecificationError, match="got 0"):
            quadrature(["normal"], 0)
