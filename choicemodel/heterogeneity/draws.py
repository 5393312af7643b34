"""Draws of random coefficients: points that fill the unit cube evenly, other ones for each person, or quadrature nodes.

Everybody starts from one low-discrepancy set S (D, R) that the seed decides, and shifts it by a vector of their own, a
hash of the seed and of the person's key. So the draws of a person depend on nobody else: data in another order, a part
of the persons or another number of threads change nobody's draws, and a block of them can be made again at any time
instead of being kept. The shift makes every draw uniform, so that the simulated probabilities are unbiased, and those
of different persons independent given S, so that their errors average out over persons.

A shift adds modulo one (Cranley and Patterson 1976), except for Sobol points, where it adds the binary digits modulo
two (an exclusive or): a digitally shifted net is still a net, which a net shifted modulo one is not. Coordinates are
integers of 52 bits until the end and are then moved to the middle of their cell: neither 0 nor 1 can occur, and numbers
are the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, roots_legendre

from choicemodel.arguments import check_flags
from choicemodel.exceptions import SpecificationError
from choicemodel.rng import combine, mix, seed_key, seed_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Keys = NDArray[np.uint64]
Variate = Literal["normal", "uniform", "triangular"]

KINDS = ("sobol", "halton", "scrambled-halton", "mlhs", "antithetic", "pseudo", "quadrature", "auto")
VARIATES = ("normal", "uniform", "triangular")
DEFAULT_NUMBER = 512

# a seed is also used for the errors and tastes that are simulated: without a word of their own, draws would repeat them
_DRAWS, _SCRAMBLE = np.uint64(0x9D39247E33776D41), np.uint64(0x2AF7398005AAA5C7)
_LATTICE, _LEAST = 3, 2.0**-53
_WITHIN = np.uint64(0x44DB015024623547)  # draws of situations are others than those of persons
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the step of SplitMix64
_BITS = 52
_MANTISSA = np.uint64(2**_BITS - 1)
_ONE = np.uint64(0x3FF0000000000000)  # the exponent of numbers in [1, 2)
_IN_CACHE = 32_768  # numbers that are made at a time: 256 kB
REACH = 9.0  # standard deviations at which a normal is cut by the quadrature: 2e-19 is beyond


class Quadrature(NamedTuple):
    """Nodes of a quadrature rule, the same for all persons.

    Parameters
    ----------
    nodes : ndarray (R, D)
        Standard variates at each of R nodes.
    log_weights : ndarray (R,)
        Logarithms of weights that sum to one.
    """

    nodes: FloatArray
    log_weights: FloatArray


@dataclass(frozen=True, eq=False)
class GivenDraws:
    """Draws that were given as an array, and whose they are.

    Parameters
    ----------
    values : ndarray (persons, D, R), optional
        Standard variates; None where they were not kept (a results file).
    fingerprint : str
        A hash of the values; two are equal where it is.
    keys : ndarray of uint64 (persons,), optional
        Keys of the persons, sorted; None while nobody has said.
    order : ndarray (persons,), optional
        The person in `values` to whom each key belongs.
    """

    values: FloatArray | None
    fingerprint: str
    keys: Keys | None = None
    order: IntArray | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GivenDraws) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def kept(self) -> FloatArray:
        """The values; an error where a file did not keep them."""
        if self.values is None:
            raise SpecificationError(
                "The draws of this model were given as an array, which a results file does not hold. Give the array "
                "again, as draws=cm.Draws.given(array)."
            )
        return self.values

    def of(self, keys: Keys, dimensions: int, out: FloatArray | None = None) -> FloatArray:
        """Return the draws of persons with these keys (U, D, R): of all, in order, until they are bound to keys."""
        values = self.kept
        if values.shape[1] != dimensions:
            raise SpecificationError(
                f"The draws that were given are for {values.shape[1]} random coefficients (their last axis), but the "
                f"model has {dimensions}. Give an array (person, draw, coefficient) with a column for each random "
                "coefficient, in the order of the model's."
            )
        if self.keys is None or self.order is None:
            return self.bound_to(keys).of(keys, dimensions, out)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)  # (U,)
        unknown = np.flatnonzero(self.keys[place] != keys)
        if len(unknown):
            raise SpecificationError(
                f"Draws were given for {len(values)} persons, and {len(unknown)} of the {len(keys)} persons asked "
                f"about are not among them (the first is number {unknown[0] + 1}). Draws that are given belong to the "
                'persons of the estimation data; for other data use draws that are made, such as cm.Draws("sobol").'
            )
        # the mode changes nothing here, but spares a copy of `out`
        return np.take(values, self.order[place], axis=0, out=out, mode="clip")

    def bound_to(self, keys: Keys) -> GivenDraws:
        """Say whose draws they are, in order."""
        if len(keys) != len(self.kept):
            raise SpecificationError(
                f"Draws were given for {len(self.kept)} persons (their first axis), but the data have {len(keys)}. "
                "Give an array (person, draw, coefficient) with the persons in the order of the data."
            )
        order = np.argsort(keys, kind="stable")
        return GivenDraws(self.values, self.fingerprint, keys[order], order)


@dataclass(frozen=True, repr=False)
class Draws:
    """How the draws of random coefficients are made.

    Parameters
    ----------
    kind : str, default "sobol"
        ``"sobol"`` (scrambled, with a digital shift for each person), ``"halton"``, ``"scrambled-halton"`` (random
        permutations of the digits), ``"mlhs"`` (modified Latin hypercube sampling), ``"antithetic"`` (each draw is
        followed by its mirror image), ``"pseudo"``; ``"quadrature"`` (nodes with weights, for one or two random
        coefficients; `number` is per dimension) and ``"auto"`` (Sobol draws, doubled until the estimates stand still).
        `Draws.given` takes an array.
    number : int, optional
        Draws for each person, 512 by default; any number will do, though powers of two suit Sobol draws best. Without
        one the nodes of a quadrature are doubled until the log-likelihood stands still.
    rng : int, Generator or None
        The seed. None draws one, once; it is in `seed`.
    array : GivenDraws, optional
        Set by `Draws.given`.
    max_memory : float, optional
        Bytes that the draws of all persons may take, by default a quarter of the machine's memory. Beyond it they are
        made again, some persons at a time, whenever they are needed: slower, with the same numbers.
    adaptive : bool
        For a quadrature: lay the nodes where each person's integrand is, which takes fewer of them for persons who
        answered many times. Without a number, the fit of a panel does so by itself.

    Attributes
    ----------
    seed : int or None
        What the draws are made from; None where nothing is random.

    Raises
    ------
    SpecificationError
        If the kind is unknown or the number is not a whole number of one or more.

    References
    ----------
    Halton draws and their variants: Train (2009), chapter 9. Sobol points: direction numbers of Joe and Kuo (2008),
    linear scrambling of Matousek (1998). MLHS: Hess, Train and Polak (2006).

    Examples
    --------
    Four draws of two coefficients for two persons; the second person alone gets the same.

    >>> import numpy as np
    >>> draws = Draws("sobol", 4, rng=0)
    >>> keys = np.array([11, 12], dtype=np.uint64)
    >>> u = draws.uniforms(keys, 2)
    >>> u.shape
    (2, 2, 4)
    >>> bool((draws.uniforms(keys[1:], 2) == u[1:]).all())
    True

    Every quarter of the unit interval has one of the four.

    >>> np.sort(np.floor(4 * u[0, 0])).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    kind: str = "sobol"
    number: int | None = None
    rng: InitVar[int | np.random.Generator | None] = None
    seed: int | None = field(init=False, default=None)
    array: GivenDraws | None = field(default=None, kw_only=True)
    max_memory: float | None = field(default=None, kw_only=True, compare=False)
    adaptive: bool = field(default=False, kw_only=True)

    def __post_init__(self, rng: int | np.random.Generator | None) -> None:
        if self.array is None:
            _check_kind(self.kind)
        _check_memory(self.max_memory)
        number = self.number if self.number is None else _checked_number(self.number)
        if self.kind == "auto" and number is not None:
            raise SpecificationError(
                f'draws "auto" find their number themselves; {number} was asked for. Leave the number out, or use '
                f'cm.Draws("sobol", {number}).'
            )
        check_flags(adaptive=self.adaptive)
        if self.adaptive and self.kind != "quadrature":
            raise SpecificationError(f"adaptive=True places the nodes of a quadrature; {self.kind!r} has none.")
        if number is None and self.kind not in ("auto", "quadrature"):
            number = DEFAULT_NUMBER
        object.__setattr__(self, "number", number)
        if self.kind not in ("given", "quadrature"):
            object.__setattr__(self, "seed", seed_of(rng))

    def __repr__(self) -> str:
        adaptive = ", adaptive=True" if self.adaptive else ""
        return f"Draws(kind={self.kind!r}, number={self.number}, seed={self.seed}{adaptive})"

    @classmethod
    def given(cls, array: ArrayLike) -> Draws:
        """Take draws that were made elsewhere.

        Parameters
        ----------
        array : array (person, draw, coefficient)
            Standard variates, not uniform numbers: standard normals where the coefficient is normal or a transform of
            a normal, numbers on [-1, 1] where it is uniform or triangular. Persons are in the order of the data.

        Returns
        -------
        Draws
            Of kind ``"given"``.

        Raises
        ------
        SpecificationError
            If the array has another shape, is empty, or holds a value that is missing or infinite.

        Examples
        --------
        >>> import numpy as np
        >>> Draws.given(np.random.default_rng(0).standard_normal((361, 100, 5)))
        Draws(kind='given', number=100, seed=None)
        """
        values = _checked_array(array)  # (persons, D, R)
        fingerprint = hashlib.blake2b(repr(values.shape).encode() + values.tobytes(), digest_size=8).hexdigest()
        return cls("given", values.shape[2], array=GivenDraws(values, fingerprint))

    def for_persons(self, keys: Keys) -> Draws:
        """Say whose draws a given array holds, so that parts of the persons can be asked about; others are unchanged.

        Parameters
        ----------
        keys : ndarray of uint64 (persons,)
            Keys of the persons of the data, in their order.

        Returns
        -------
        Draws

        Raises
        ------
        SpecificationError
            If the array is for another number of persons.
        """
        if self.array is None:
            return self
        return Draws("given", self.number, array=self.array.bound_to(keys), max_memory=self.max_memory)

    def with_number(self, number: int) -> Draws:
        """Return as many draws of the same kind and seed; ``"auto"`` becomes ``"sobol"``.

        More draws begin with the fewer, except for MLHS.

        Parameters
        ----------
        number : int
            Draws for each person, or nodes per dimension.

        Returns
        -------
        Draws

        Raises
        ------
        SpecificationError
            If the draws were given, or the number is not a whole number of one or more.
        """
        if self.kind == "given":
            raise SpecificationError(
                f"Draws that were given are {self.number} for each person, and others cannot be made. Use draws that "
                'are made, such as cm.Draws("sobol").'
            )
        kind = "sobol" if self.kind == "auto" else self.kind
        return Draws(kind, number, self.seed, max_memory=self.max_memory, adaptive=self.adaptive)

    def with_seed(self, seed: int) -> Draws:
        """Return as many draws of the same kind, made from another seed.

        Parameters
        ----------
        seed : int

        Returns
        -------
        Draws

        Raises
        ------
        SpecificationError
            If nothing about the draws is random: an array that was given, or the nodes of a quadrature.
        """
        if self.seed is None:
            what = "nodes of a quadrature" if self.kind == "quadrature" else "draws that were given"
            raise SpecificationError(
                f'There is no seed in {what}. Use draws that are made, such as cm.Draws("sobol", 512, rng={seed}).'
            )
        return Draws(self.kind, self.number, seed, max_memory=self.max_memory)

    def uniforms(self, keys: Keys, dimensions: int, out: FloatArray | None = None) -> FloatArray:
        """Uniform numbers strictly between 0 and 1, for persons with these keys.

        Those of a person are the same whoever else is asked about, so that they can be made block by block.

        Parameters
        ----------
        keys : ndarray of uint64 (U,)
            One for each person.
        dimensions : int
            Number D of random coefficients.
        out : ndarray (U, D, R), optional
            Where to put them: contiguous, of float64.

        Returns
        -------
        ndarray (U, D, R)

        Raises
        ------
        SpecificationError
            If they are not uniform draws that can be made: a quadrature, ``"auto"``, an array that was given.
        """
        number, seed = self._made()
        if out is None:
            out = np.empty((len(keys), dimensions, number))  # (U, D, R)
        if not dimensions:
            return out
        persons = combine(np.asarray(keys, dtype=np.uint64), np.array([seed_key(seed) ^ _DRAWS]))
        streams = combine(persons[:, np.newaxis], np.arange(1, dimensions + 1, dtype=np.uint64))  # (U, D)
        shared = _shared_set(self.kind, dimensions, number, seed)
        size = max(1, _IN_CACHE // (dimensions * number))
        for first in range(0, len(keys), size):
            part = slice(first, first + size)
            _fill(self.kind, shared, streams[part], out[part])
        return out

    def standard(self, keys: Keys, variates: Sequence[Variate], out: FloatArray | None = None) -> FloatArray:
        """Standard variates of persons with these keys: transformed uniforms, or the draws that were given.

        Parameters
        ----------
        keys : ndarray of uint64 (U,)
            One for each person.
        variates : sequence of {"normal", "uniform", "triangular"}
            The variate of each of D random coefficients: standard normal, uniform on [-1, 1], or symmetric triangular
            on [-1, 1].
        out : ndarray (U, D, R), optional
            Where to put them: contiguous, of float64.

        Returns
        -------
        ndarray (U, D, R)

        Raises
        ------
        SpecificationError
            If a variate is unknown, or draws that were given are for other persons or another number of coefficients.
        """
        _check_variates(variates)
        if self.array is not None:
            return self.array.of(keys, len(variates), out)
        z = self.uniforms(keys, len(variates), out)
        for d, variate in enumerate(variates):
            _to_standard(variate, z[:, d])
        return z

    def shuffled_normals(self, keys: Keys, dimensions: int, each: int) -> FloatArray:
        """Standard normals of situations with these keys, several for each draw of their person.

        The points of a situation fill the cube as evenly as those of a person do; a random order of them, from the key
        as they are, makes them independent of the person's draws and of those of its other situations (latin supercube
        sampling, Owen 1998). Each is then shifted by the points of a small lattice, modulo one.

        Parameters
        ----------
        keys : ndarray of uint64 (N,)
            One for each situation.
        dimensions : int
            Number W of coefficients that vary over situations.
        each : int
            Number M for each draw of the person.

        Returns
        -------
        ndarray (N, W, M, R)
        """
        number, seed = self._made()
        own = combine(np.asarray(keys, dtype=np.uint64), np.array([seed_key(seed) ^ _WITHIN]))  # (N,)
        out = np.empty((len(own), dimensions, each, number))
        generator = np.arange(each) * _LATTICE ** np.arange(dimensions)[:, np.newaxis]
        lattice = (generator % each / each)[:, :, np.newaxis]  # (W, M, 1)
        size = max(1, _IN_CACHE // (number * each))
        for first in range(0, len(own), size):
            part = slice(first, first + size)
            order = np.argsort(combine(own[part, np.newaxis], np.arange(number, dtype=np.uint64)), axis=1)
            u = np.take_along_axis(self.uniforms(own[part], dimensions), order[:, np.newaxis], axis=2)
            shifted = u[:, :, np.newaxis] + lattice
            shifted -= shifted >= 1.0
            ndtri(np.clip(shifted, _LEAST, 1 - _LEAST, out=shifted), out=out[part])
        return out

    def to_dict(self) -> dict[str, Any]:
        """Describe the draws for a file; of an array that was given it holds the fingerprint only."""
        content: dict[str, Any] = {"kind": self.kind, "number": self.number, "seed": self.seed}
        if self.adaptive:
            content["adaptive"] = True
        return content if self.array is None else {**content, "fingerprint": self.array.fingerprint}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Draws:
        """Rebuild draws from their description."""
        array = GivenDraws(None, content["fingerprint"]) if content["kind"] == "given" else None
        adaptive = bool(content.get("adaptive"))
        return cls(content["kind"], content["number"], content["seed"], array=array, adaptive=adaptive)

    def _made(self) -> tuple[int, int]:
        """Return number and seed of draws that can be made."""
        if self.number is None or self.seed is None:
            what = {
                "auto": 'Draws "auto" have no number yet: a fit finds it. Use with_number.',
                "quadrature": "A quadrature has nodes with weights, not draws. Use quadrature.",
            }
            raise SpecificationError(
                what.get(self.kind, "Draws that were given are not uniform numbers. Use standard.")
            )
        return self.number, self.seed


def as_draws(draws: str | Draws | ArrayLike) -> Draws:
    """Turn what a user may write for `draws` into `Draws`: the name of a kind, draws, or an array.

    Raises
    ------
    SpecificationError
        If it is none of them, or `Draws` refuses it.

    Examples
    --------
    >>> as_draws("quadrature")
    Draws(kind='quadrature', number=None, seed=None)
    """
    if isinstance(draws, Draws):
        return draws
    if isinstance(draws, (int, np.integer)) and not isinstance(draws, bool):
        raise SpecificationError(f'draws={draws!r}: the number goes with a kind, as in cm.Draws("sobol", {draws}).')
    return Draws(draws) if isinstance(draws, str) else Draws.given(draws)


def quadrature(variates: Sequence[Variate], number: int) -> Quadrature:
    """Nodes and weights of the Gauss-Legendre rule for one or two standard variates, as a product rule for two.

    A normal is cut at 9 standard deviations, and the weights are those of the rule times the density. For the
    probabilities of logit models this converges much faster in the number of nodes than a Gauss-Hermite rule, whose
    outer nodes are spread over a range in which nothing happens. Weights are normalised to sum to one.

    Parameters
    ----------
    variates : sequence of {"normal", "uniform", "triangular"}
        One or two: standard normal, uniform on [-1, 1], symmetric triangular on [-1, 1].
    number : int
        Nodes per dimension. A triangular variate has as many on either side of its kink, so an odd number gives it one
        more.

    Returns
    -------
    Quadrature
        Nodes (R, D) and log-weights (R,), where R is `number` for one and its square for two.

    Raises
    ------
    SpecificationError
        If there are no variates or more than two, or one is unknown, or the number is not a whole number of one or
        more.

    Examples
    --------
    The mean of exp(z) is exp(1/2).

    >>> import numpy as np
    >>> nodes, log_weights = quadrature(["normal"], 100)
    >>> print(f"{np.exp(log_weights) @ np.exp(nodes[:, 0]):.10f} {np.exp(0.5):.10f}")
    1.6487212707 1.6487212707
    """
    _check_variates(variates)
    number = _checked_number(number)
    if not variates:
        raise SpecificationError("Quadrature is for one or two random coefficients; there are none.")
    if len(variates) > 2:
        raise SpecificationError(
            f"Quadrature is for one or two random coefficients; there are {len(variates)}. (Error components and an "
            "overall scale count too.) A product of rules would "
            f'need {number}^{len(variates)} nodes for each person. Use draws instead, such as cm.Draws("sobol", 512).'
        )
    rules = [_rule(variate, number) for variate in variates]
    grid = np.meshgrid(*(nodes for nodes, _ in rules), indexing="ij")
    log_weights = sum(np.meshgrid(*(log_weights for _, log_weights in rules), indexing="ij"))
    return Quadrature(np.stack([g.ravel() for g in grid], axis=1), np.ravel(log_weights))


def halton_sequence(number: int, base: int, start: int = 0, permutations: IntArray | None = None) -> FloatArray:
    """Halton's sequence in one dimension, that of van der Corput: the digits of 0, 1, 2, ... behind the point.

    Parameters
    ----------
    number : int
        How many.
    base : int
        A prime number, another for each dimension.
    start : int, default 0
        Index of the first; the sequence is 0, 1/2, 1/4, 3/4, ... in base 2.
    permutations : ndarray (digits, base), optional
        What each digit becomes at each place behind the point; as many places are summed as there are permutations.

    Returns
    -------
    ndarray (number,)

    Examples
    --------
    >>> halton_sequence(5, 2).tolist()
    [0.0, 0.5, 0.25, 0.75, 0.125]
    """
    index = np.arange(start, start + number)  # (number,)
    value, place = np.zeros(number), 1.0 / base
    places = _digits(start + number, base) if permutations is None else len(permutations)
    for k in range(places):
        index, digit = np.divmod(index, base)
        value += place * (digit if permutations is None else permutations[k][digit])
        place /= base
    return value


@lru_cache(maxsize=4)
def _shared_set(kind: str, dimensions: int, number: int, seed: int) -> Keys | None:
    """Return the set that persons shift (D, R), as integers of 52 bits; None where there is none."""
    if kind == "sobol":
        points = _sobol(dimensions, number, seed)
    elif kind in ("halton", "scrambled-halton"):
        rows = [_halton(d, b, number, seed if kind == "scrambled-halton" else None) for d, b in _primes(dimensions)]
        points = (np.stack(rows) * 2.0**_BITS).astype(np.uint64)
    else:
        return None
    points.flags.writeable = False
    return points


def _sobol(dimensions: int, number: int, seed: int) -> Keys:
    """Return scrambled Sobol points (D, R) as integers of 52 bits.

    The scrambling multiplies the binary digits of a coordinate by a random lower triangular matrix with ones on its
    diagonal, another for each dimension. It is done here since scipy's would tie a stored seed to scipy's version.
    """
    from scipy.stats import qmc

    # a full power of two, cut: asking for another number gives a warning, and the points are the same
    points = qmc.Sobol(dimensions, scramble=False).random_base2(int(number - 1).bit_length())[:number]
    x = np.ascontiguousarray((points.T * 2.0**_BITS).astype(np.uint64))  # (D, R)
    of_dimension = combine(_scramble_keys(seed, dimensions)[:, np.newaxis], np.arange(1, _BITS + 1, dtype=np.uint64))
    scrambled = np.zeros_like(x)
    for bit in range(_BITS - int(number - 1).bit_length(), _BITS):
        lead = np.uint64(1 << bit)
        column = (of_dimension[:, bit] & (lead - np.uint64(1))) | lead  # (D,)
        scrambled ^= ((x >> np.uint64(bit)) & np.uint64(1)) * column[:, np.newaxis]
    return scrambled


def _halton(dimension: int, base: int, number: int, seed: int | None) -> FloatArray:
    """Return one coordinate of Halton points (R,), scrambled by random permutations of digits if there is a seed."""
    if seed is None:
        return halton_sequence(number, base)
    places = int(np.ceil(_BITS / np.log2(base)))  # the zeros behind the last digit are permuted too
    key = _scramble_keys(seed, dimension + 1)[dimension:]
    hashes = combine(key, np.arange(1, places * base + 1, dtype=np.uint64)).reshape(places, base)
    scrambled = halton_sequence(number, base, permutations=np.argsort(hashes, axis=1, kind="stable"))
    return np.minimum(scrambled, 1 - 2.0**-_BITS)  # a sum of nothing but highest digits may round up to one


def _scramble_keys(seed: int, dimensions: int) -> Keys:
    """Return a key for the scrambling of each dimension (D,); more dimensions do not change the first."""
    return combine(np.array([seed_key(seed) ^ _SCRAMBLE]), np.arange(1, dimensions + 1, dtype=np.uint64))


def _primes(number: int) -> list[tuple[int, int]]:
    """Return the first primes, each with its place."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < number:
        if all(candidate % p for p in primes if p * p <= candidate):
            primes.append(candidate)
        candidate += 1
    return list(enumerate(primes))


def _digits(number: int, base: int) -> int:
    """Return how many digits the numbers below this one have."""
    count, reach = 0, 1
    while reach < number:
        count, reach = count + 1, reach * base
    return count


def _fill(kind: str, shared: Keys | None, streams: Keys, out: FloatArray) -> None:
    """Make the uniforms (n, D, R) of persons whose hashes for each dimension are `streams` (n, D)."""
    bits, start = out.view(np.uint64), streams[:, :, np.newaxis]
    if shared is not None and kind == "sobol":
        np.bitwise_xor(shared, start >> np.uint64(64 - _BITS), out=bits)
    elif shared is not None:
        np.add(shared, start >> np.uint64(64 - _BITS), out=bits)
        bits &= _MANTISSA
    elif kind == "mlhs":
        _latin_hypercube(start, out)
        return
    elif kind == "antithetic":
        _random_bits(start, bits[:, :, ::2])
        np.bitwise_xor(bits[:, :, :-1:2], _MANTISSA, out=bits[:, :, 1::2])
    else:
        _random_bits(start, bits)
    bits |= _ONE
    out -= 1 - 2.0 ** -(_BITS + 1)  # a number in [1, 2) becomes the middle of its cell in (0, 1), without rounding


def _random_bits(start: Keys, out: Keys) -> None:
    """Make random integers of 52 bits (n, D, R) from a hash for each person and dimension (n, D, 1)."""
    _hashes(start, out)
    out >>= np.uint64(64 - _BITS)


def _hashes(start: Keys, out: Keys) -> None:
    """Make random integers of 64 bits (n, D, R): the SplitMix64 generator, started at each hash."""
    steps: Keys = np.arange(1, out.shape[-1] + 1, dtype=np.uint64)
    out[...] = mix(start + steps * _GOLDEN)


def _latin_hypercube(start: Keys, out: FloatArray) -> None:
    """Make uniforms by modified Latin hypercube sampling (n, D, R).

    (Hess, Train and Polak 2006): an even grid, moved by one random number and put in random order, for each person and
    dimension.
    """
    number = out.shape[-1]
    low = np.uint64((1 << int(number - 1).bit_length()) - 1)
    # hashes whose lowest bits are the index: sorting them orders the indices at random, and there can be no tie
    order = np.empty(out.shape, dtype=np.uint64)
    _hashes(start, order)
    order &= ~low
    order |= np.arange(number, dtype=np.uint64)
    order.sort(axis=-1)
    order &= low
    # 24 bits of the shift: index + shift is exact, so it cannot round up to the number of draws
    shift = ((mix(start) >> np.uint64(40)).astype(np.float64) + 0.5) * 2.0**-24
    np.add(order, shift, out=out)
    out /= number


def _to_standard(variate: str, u: FloatArray) -> None:
    """Turn uniforms into standard variates, in place."""
    if variate == "normal":
        ndtri(u, out=u)
        return
    u *= 2
    u -= 1
    if variate == "triangular":
        # the quantile function: -1 + sqrt(2 u) below one half, 1 - sqrt(2 (1 - u)) above
        np.copysign(1 - np.sqrt(1 - np.abs(u)), u, out=u)


def _rule(variate: str, number: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and log-weights of the rule for one variate."""
    if variate == "triangular":
        x, w = roots_legendre((number + 1) // 2)
        t = (x + 1) / 2
        nodes, log_weights = np.concatenate([-t[::-1], t]), np.log(np.concatenate([(w * (1 - t))[::-1], w * (1 - t)]))
    else:
        x, w = roots_legendre(number)
        nodes = x * REACH if variate == "normal" else x
        log_weights = np.log(w) - nodes**2 / 2 if variate == "normal" else np.log(w)
    highest = log_weights.max()
    return nodes, log_weights - (highest + np.log(np.exp(log_weights - highest).sum()))


def _check_kind(kind: str) -> None:
    """Refuse a kind that there is not."""
    if not isinstance(kind, str):
        raise SpecificationError(
            f"The kind of draws is a name, such as 'sobol'; got {type(kind).__name__}. An array of draws is given by "
            "cm.Draws.given(array)."
        )
    if kind == "given":
        raise SpecificationError('Draws of kind "given" are an array: use cm.Draws.given(array).')
    if kind not in KINDS:
        raise SpecificationError(f"{kind!r} is no kind of draws. {_closest(kind, KINDS)}")


def _check_variates(variates: Sequence[str]) -> None:
    """Refuse variates that there are not."""
    for variate in variates:
        if variate not in VARIATES:
            raise SpecificationError(f"{variate!r} is no standard variate. {_closest(variate, VARIATES)}")


def _closest(name: Any, known: Sequence[str]) -> str:
    """Say which names are like a wrong one, or which there are."""
    near = get_close_matches(str(name).lower(), known, n=3)
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are {', '.join(map(repr, known))}."


def _checked_number(number: Any) -> int:
    """Return the number of draws; an error if it is not a whole number of one or more."""
    if isinstance(number, (int, np.integer)) and not isinstance(number, bool) and number >= 1:
        return int(number)
    raise SpecificationError(
        f"The number of draws is a whole number of 1 or more; got {number!r}. {DEFAULT_NUMBER} is the default."
    )


def _check_memory(limit: Any) -> None:
    """Refuse a limit on memory that is no number of bytes."""
    if limit is not None and not (isinstance(limit, (int, float, np.number)) and limit >= 0):
        raise SpecificationError(f"max_memory is a number of bytes, such as 2e9 for two gigabytes; got {limit!r}.")


def _checked_array(array: ArrayLike) -> FloatArray:
    """Return draws that were given, as (person, coefficient, draw); an error if they cannot be draws."""
    try:
        values = np.array(array, dtype=np.float64)  # (persons, R, D)
    except (TypeError, ValueError) as e:
        raise SpecificationError(
            f"Draws that are given must be an array of numbers (person, draw, coefficient): {e}"
        ) from e
    if values.ndim != 3 or not values.size:
        raise SpecificationError(
            f"Draws that are given must be an array (person, draw, coefficient) that is not empty; got the shape "
            f"{values.shape}. With one random coefficient its last axis has length 1."
        )
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = tuple(bad[0].tolist())
        raise SpecificationError(
            f"Draws that are given must be finite; {len(bad)} are not, the first is {values[place]} at {list(place)}. "
            "A normal draw is infinite where it comes from a uniform number of exactly 0 or 1: move those inside."
        )
    values = np.ascontiguousarray(np.swapaxes(values, 1, 2))  # (persons, D, R)
    values.flags.writeable = False
    return values
