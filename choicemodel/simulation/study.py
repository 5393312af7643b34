"""Designed experiments: simulate, refit and repeat over sample sizes; interruptible, resumable, on several processes.

Each replication has a seed of its own, from `SeedSequence(seed).spawn` over sample sizes and then over replications. It
draws the persons of its sample (where a size is asked for) and then their choices, so the numbers are the same for any
number of processes, and whether or not the study was cut off on the way.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel import storage
from choicemodel.arguments import read_list, written
from choicemodel.data import ChoiceData, Structure
from choicemodel.data.describe import KINDS
from choicemodel.data.door import Roles
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import Composition, Prepared, prepare
from choicemodel.estimation.tasks import Workers, check_workers, in_order, threads_here
from choicemodel.exceptions import ChoiceModelError, ResultFileError, SpecificationError
from choicemodel.files import require_room, target_of
from choicemodel.models import ChoiceModel
from choicemodel.progress import Bar
from choicemodel.results import ChoiceResults
from choicemodel.rng import seed_of
from choicemodel.simulation.answers import require_fixed_attributes
from choicemodel.simulation.recovery import Recovery, summarise
from choicemodel.simulation.replicate import COV_TYPES, Replications, Task, join, replicate
from choicemodel.simulation.simulator import Params, Simulator, simulator
from choicemodel.tables import Block, Cell, Column, Pairs, Table, format_count, format_percent
from choicemodel.utility import Design

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# What a chunk of replications gave: arrays with one entry, or one row, for each replication.
Arrays = dict[str, NDArray[Any]]
# A sample size (None for the data themselves) and the seeds of some replications.
Job = tuple[int | None, list[np.random.SeedSequence]]

# Replications between two reports.
_CHUNK = 10
# The file is rewritten after a chunk, unless that would take more than a tenth of the time.
_PATIENCE = 10.0


# --- samples ---------------------------------------------------------------------------------------------------------


def draw_persons(data: ChoiceData, n: int, rng: np.random.Generator) -> ChoiceData:
    """Draw persons (occasions, where none are declared), with replacement where more are wanted than there are.

    Persons and occasions get new labels, in columns of their own; choices and weights are left behind.
    """
    s = data.structure
    units = rng.choice(s.n_units, size=n, replace=n > s.n_units)
    situations, counts = _members(s.unit, s.n_units, units)
    rows, sizes = _ranges(s.starts[:-1][situations], s.sizes[situations])
    person = None if s.person is None else np.repeat(np.arange(n), counts)  # (N,)
    N = len(situations)
    stage = None if s.stage is None else s.stage[situations]
    occasion = np.arange(N) if stage is None else np.cumsum(stage == 1) - 1
    structure = Structure(
        order=None,
        alternative=s.alternative[rows],
        starts=np.concatenate(([0], np.cumsum(sizes))),
        chosen=s.starts[:0],
        occasion=occasion,
        person=person,
        weight=None,
        n_alternatives=s.n_alternatives,
        stage=stage,
        sign=None if s.sign is None else s.sign[situations],
    )
    names = [_free_name(data, n) for n in ("person", "situation")]
    frame = data.frame.iloc[rows if s.order is None else s.order[rows]].assign(
        **{
            names[0]: np.repeat(occasion if person is None else person, sizes),
            names[1]: np.repeat(occasion, sizes),
        }
    )
    roles = Roles((names[1],), data.roles.alternative, person=None if person is None else names[0])
    if data.roles.stage is not None:
        old = data.roles
        several = {"situation": (names[1], old.stage), "occasion": (names[1],), "stage": old.stage, "sign": old.sign}
        roles = replace(roles, **several, kind=old.kind)  # type: ignore[arg-type]
    return ChoiceData(frame.reset_index(drop=True), roles, data.alternatives, _with_any_choice(structure))


def _members(unit: IntArray, n_units: int, drawn: IntArray) -> tuple[IntArray, IntArray]:
    """Situations of the units drawn, and how many each has."""
    by_unit = np.argsort(unit, kind="stable")
    counts = np.bincount(unit, minlength=n_units)
    first = np.cumsum(counts) - counts
    positions, sizes = _ranges(first[drawn], counts[drawn])
    return by_unit[positions], sizes


def _ranges(starts: IntArray, sizes: IntArray) -> tuple[IntArray, IntArray]:
    """The numbers from each start on, as many as its size; and the sizes."""
    offset = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.repeat(starts, sizes) + offset, sizes


def _free_name(data: ChoiceData, name: str) -> str:
    while name in data.columns:
        name += "_"
    return name


def _with_any_choice(structure: Structure) -> Structure:
    """The first alternative is chosen everywhere, until answers are simulated; and nobody has a weight."""
    return replace(structure, weight=None, chosen=structure.starts[:-1].copy())


@dataclass(frozen=True)
class Laboratory:
    """What is simulated, and the models that are fitted to it, on the data and on samples of their persons.

    Parameters
    ----------
    sim : Simulator
    models : tuple of Composition
        On the same choice sets as the simulator.
    """

    sim: Simulator
    models: tuple[Composition, ...]

    @classmethod
    def of(cls, sim: Simulator, models: Sequence[ChoiceModel]) -> Laboratory:
        """Take the models' own data, without their choices and weights.

        Raises
        ------
        SpecificationError
            If a model has other data than those that are simulated.
        """
        _refuse_counts(sim.design.data)
        bare = _bare(sim.design)
        mark = bare.data.fingerprint()
        found = []
        for model in models:
            design = bare if model.design_on() is sim.design else _bare(model.design_on())
            if design.data.fingerprint() != mark:
                raise SpecificationError(
                    f"{model!r} has other situations, alternatives or persons than the model that is simulated: "
                    "specify both on the same data."
                )
            require_fixed_attributes(design)
            found.append(Composition(design, model.errors, model.heterogeneity_or_none, model.parameters))
        return cls(replace(sim, design=bare), tuple(found))

    @property
    def n_units(self) -> int:
        """Persons, or situations (rankings, best-worst answers) where no persons are declared."""
        return self.sim.design.data.structure.n_units

    @property
    def units(self) -> str:
        """What is drawn."""
        data = self.sim.design.data
        return f"{KINDS.get(data.roles.kind, 'situation')}s" if data.structure.person is None else "persons"

    def sample(self, n: int, rng: np.random.Generator) -> Laboratory:
        """Draw n persons."""
        seed, own = int(rng.integers(2**63)), self.sim.design
        drawn: dict[int, ChoiceData] = {}

        def on_sample(design: Design) -> Design:
            if id(design.data) not in drawn:
                drawn[id(design.data)] = draw_persons(design.data, n, np.random.default_rng(seed))
            return design.on(drawn[id(design.data)])

        sim = replace(self.sim, design=on_sample(own))
        models = [m._replace(design=sim.design if m.design is own else on_sample(m.design)) for m in self.models]
        return Laboratory(sim, tuple(models))

    def prepare(self) -> tuple[Prepared, ...]:
        """Code the data of the models."""
        with executor(threads_here(1)) as pool:
            return tuple(prepare(m, pool) for m in self.models)

    def fingerprint(self) -> str:
        """Return a hash of the models, the parameters and the data."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(self.sim.design.data.fingerprint().encode())
        digest.update(np.ascontiguousarray(self.sim.theta).tobytes())
        for m in (Composition(self.sim.design, self.sim.errors, self.sim.heterogeneity, None), *self.models):  # type: ignore[arg-type]
            recipe = m.design.recipe
            text = (recipe.formula, recipe.alternatives, recipe.base, m.errors.to_dict(), m.heterogeneity.to_dict())
            digest.update(repr(text).encode())
            if recipe.scales is not None:
                digest.update(repr(recipe.scales).encode())
            weights = np.cos(np.arange(1.0, len(m.design.columns) + 1))  # utilities that depend on every column
            digest.update(m.design.utilities(weights).tobytes())
        return digest.hexdigest()


def _refuse_counts(data: ChoiceData) -> None:
    if data.roles.kind == "counts":
        raise SpecificationError(
            "These data are counts: each alternative that was chosen in a set stands for all who chose it, so that the "
            "situations are no sample of people to draw from and to simulate. Repeat the rows of each set once for "
            "every person that it stands for, and read them with ChoiceData.from_long."
        )


def _bare(design: Design) -> Design:
    data = design.data
    return replace(design, data=replace(data, structure=_with_any_choice(data.structure)))


# --- the machine -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what its file says of it.

    Parameters
    ----------
    kind : str
        Kind of file.
    head : dict
        All of the finished object but its arrays; holds ``key``, ``seed``, ``replications``.
    sizes : tuple
        Sample sizes; None for the data themselves.
    blank : dict
        Arrays of no replication.
    file : path-like, optional
    """

    kind: str
    head: dict[str, Any]
    sizes: tuple[int | None, ...]
    blank: Arrays
    file: str | os.PathLike[str] | None

    def seeds(self, size: int) -> list[np.random.SeedSequence]:
        """Seeds of the replications at a size, given by its position."""
        at_size = np.random.SeedSequence(self.head["seed"]).spawn(len(self.sizes))[size]
        return at_size.spawn(self.head["replications"])


class _Journal:
    """The arrays so far, in memory and in the file."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.parts = [[arrays] for arrays in self._read()]
        self._written, self._took, self._unsaved = -np.inf, 0.0, False

    def _read(self) -> list[Arrays]:
        plan = self.plan
        if plan.file is None or not target_of(plan.file).exists():
            return [plan.blank for _ in plan.sizes]
        content = storage.read(plan.file, plan.kind)
        for name, what in (("key", "another study: other models, parameters, data or sizes"), ("seed", "another seed")):
            if content.get(name) != plan.head[name]:
                raise ResultFileError(f"The file {plan.file} belongs to {what}. Name another file, or delete it.")
        shapes = {name: (-1, *blank.shape[1:]) for name, blank in plan.blank.items()}  # an empty array loses its own
        return [{name: a[name].reshape(shape) for name, shape in shapes.items()} for a in content["arrays"]]

    def done(self, size: int) -> int:
        """Replications that are there."""
        return sum(len(next(iter(arrays.values()))) for arrays in self.parts[size])

    def keep(self, size: int, arrays: Arrays) -> None:
        """Take a chunk in, and write the file unless that was done a moment ago."""
        self.parts[size].append(arrays)
        self._unsaved = True
        if time.monotonic() - self._written >= _PATIENCE * self._took:
            self.save()

    def save(self) -> None:
        """Write what is not in the file yet."""
        if self._unsaved and self.plan.file is not None:
            began = time.monotonic()
            storage.write(self.plan.file, self.plan.kind, {**self.plan.head, "arrays": self.arrays()})
            self._written = time.monotonic()
            self._took = self._written - began
        self._unsaved = False

    def arrays(self) -> list[Arrays]:
        """The arrays of each size."""
        self.parts = [[_concatenate(parts)] for parts in self.parts]
        return [parts[0] for parts in self.parts]


def _concatenate(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def carry_out(
    work: Callable[[Job], Arrays], plan: Plan, *, workers: Workers, progress: bool | None
) -> tuple[Arrays, ...]:
    """Run the replications that are not in the file yet; the arrays of each size.

    Parameters
    ----------
    work : callable
        Does a job: a sample size, and the seeds of some replications.
    plan : Plan
    workers : int or distributed.Client
    progress : bool or None
    """
    if plan.file is not None:
        require_room(plan.file)
    journal, total = _Journal(plan), plan.head["replications"]
    where: list[int] = []
    jobs: list[Job] = []
    for i, size in enumerate(plan.sizes):
        seeds = plan.seeds(i)[journal.done(i) :]
        for start in range(0, len(seeds), _CHUNK):
            where.append(i)
            jobs.append((size, seeds[start : start + _CHUNK]))
    left = sum(len(seeds) for _, seeds in jobs)
    samples = total * len(plan.sizes)
    try:
        with (
            Bar(plan.kind, "samples", samples, samples - left, progress=progress) as bar,
            closing(in_order(work, jobs, workers=workers, lost=_going_on(plan))) as found,
        ):
            for i, arrays in zip(where, found, strict=True):
                journal.keep(i, arrays)
                bar.step(len(next(iter(arrays.values()))))
    finally:
        journal.save()
    return tuple({k: v[:total] for k, v in arrays.items()} for arrays in journal.arrays())


def _going_on(plan: Plan) -> str:
    """What to do when a cluster is lost."""
    if plan.file is None:
        return (
            "Nothing of the study is kept: start the cluster again and repeat the call with a new client. With file= a "
            "study is kept while it runs, and goes on from there."
        )
    return (
        f"What was done is in {os.fspath(plan.file)}: start the cluster again, and the same call with a new client "
        "goes on from there."
    )


def seed_for(rng: int | np.random.Generator | None, file: str | os.PathLike[str] | None, kind: str) -> int:
    """Turn `rng` into a seed: that of the file to go on with, where none is given."""
    if rng is None and file is not None and target_of(file).exists():
        return int(storage.read(file, kind).get("seed", 0))
    return seed_of(rng)


def check_plan(replications: int, workers: Workers, sizes: Sequence[int] | int | None) -> tuple[int | None, ...]:
    """Check the numbers of a study; its sample sizes as a tuple.

    Raises
    ------
    SpecificationError
        If one makes no sense.
    """
    check_workers(workers)
    if isinstance(replications, bool) or not isinstance(replications, (int, np.integer)) or replications < 1:
        raise SpecificationError(f"replications must be a whole number of at least 1; got {replications!r}.")
    if sizes is None:
        return (None,)
    listed = [sizes] if isinstance(sizes, (int, np.integer)) else list(read_list(sizes, "n_persons", "[100, 200]"))
    if not listed or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in listed):
        raise SpecificationError(f"n_persons must be whole numbers of at least 1, such as [100, 200]; got {sizes!r}.")
    if len(set(listed)) < len(listed):
        raise SpecificationError(f"n_persons names a sample size twice: {sizes!r}.")
    return tuple(sorted(int(n) for n in listed))


def check_cov_type(cov_type: str | None, data: ChoiceData) -> str:
    """The covariance of a study: by default robust where persons or rankings are declared."""
    if cov_type is None:
        return "nonrobust" if data.structure.person is None and data.structure.stage is None else "robust"
    if cov_type not in COV_TYPES:
        raise SpecificationError(f"cov_type must be one of {', '.join(COV_TYPES)}; got {cov_type!r}.")
    return cov_type


def describe(model: ChoiceModel) -> str:
    """The model in words."""
    return f"{model.title}, {model.formula}"


def streams(seed: np.random.SeedSequence) -> tuple[np.random.Generator, np.random.SeedSequence]:
    """What draws the persons of a replication, and what draws their choices."""
    persons, choices = (np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i)) for i in (0, 1))
    return np.random.default_rng(persons), choices


# --- recovery over sample sizes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recover:
    """Simulates and refits one model: the work of a recovery study."""

    laboratory: Laboratory
    truth: FloatArray
    start: FloatArray
    cov_type: str

    @cached_property
    def _prepared(self) -> Prepared:
        return self.laboratory.prepare()[0]

    def __call__(self, job: Job) -> Arrays:
        size, seeds = job
        if size is None:
            return _as_arrays(replicate(self._task(self.laboratory), self._prepared, seeds, self.cov_type))
        return _as_arrays(join([self._on_sample(size, seed) for seed in seeds]))

    def _on_sample(self, size: int, seed: np.random.SeedSequence) -> Replications:
        persons, choices = streams(seed)
        try:
            drawn = self.laboratory.sample(size, persons)
            prepared = drawn.prepare()[0]
        except ChoiceModelError:  # a sample that cannot be fitted is a failed replication
            return Replications.blank(1, len(self.truth))
        return replicate(self._task(drawn), prepared, [choices], self.cov_type)

    def _task(self, laboratory: Laboratory) -> Task:
        return Task(laboratory.sim, laboratory.models[0], self.truth, self.start)


def _as_arrays(found: Replications) -> Arrays:
    arrays: Arrays = {n: getattr(found, n) for n in ("estimates", "distance", "converged", "llf")}
    return arrays | {f"errors_{kind}": found.errors[kind] for kind in COV_TYPES}


@dataclass(frozen=True, repr=False, eq=False)
class RecoveryStudy:
    """What refits of simulated samples say of a model's estimates, over sample sizes.

    Attributes
    ----------
    simulated, fitted : str
        The models.
    names : tuple of str
        Parameters of the fitted model.
    truth : ndarray (K,)
        What they were simulated at; NaN where the simulated model has no such parameter.
    n_persons : tuple of int
        Sample sizes.
    units : str
        What they count: persons, or situations where no persons are declared.
    replications : int
        Samples of each size that were asked for.
    cov_type : str
        Covariance that the summary shows.
    seed : int
        Seed of all draws; the same seed gives the same study.
    key : str
        Hash of models, parameters and data, by which a file is recognised.
    arrays : tuple of dict
        For each size what the refits gave: estimates, standard errors, convergence.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> study = cm.recovery_study(result, replications=20, rng=1)
    >>> study.to_frame()[["truth", "mean", "sd"]].round(3)
                          truth   mean     sd
    n_persons parameter
    210       gc         -0.016 -0.015  0.004
              ttme       -0.097 -0.098  0.008
              ASC[air]    5.776  5.940  0.471
              ASC[bus]    3.211  3.360  0.378
              ASC[train]  3.923  4.016  0.350
    """

    simulated: str
    fitted: str
    names: tuple[str, ...]
    truth: FloatArray
    n_persons: tuple[int, ...]
    units: str
    replications: int
    cov_type: str
    seed: int
    key: str
    arrays: tuple[Arrays, ...]

    def refits(self, size: int) -> Replications:
        """What the refits at a sample size gave, one by one."""
        if not isinstance(size, (int, np.integer)) or size not in self.n_persons:
            raise SpecificationError(
                f"The sample sizes are {', '.join(map(str, self.n_persons))}; got {written(size)}."
            )
        a = self.arrays[self.n_persons.index(size)]
        table = (-1, len(self.names))
        errors = {kind: a[f"errors_{kind}"].reshape(table) for kind in COV_TYPES}
        return Replications(a["estimates"].reshape(table), errors, a["distance"], a["converged"], a["llf"])

    @cached_property
    def _recoveries(self) -> tuple[Recovery, ...]:
        return tuple(summarise(self.refits(n), self.truth, self.names) for n in self.n_persons)

    def to_frame(self) -> pd.DataFrame:
        """Every sample size and parameter as a row.

        Returns
        -------
        DataFrame
            Truth, mean, bias with its Monte Carlo error, sd, RMSE; for each kind of covariance the mean standard error
            over the sd (``ratio_``) and the coverage of the 90 and 95 % intervals; and how many refits this is from.
        """
        tables = [r.table.assign(used=r.replications, failed=r.failed) for r in self._recoveries]
        return pd.concat(tables, keys=list(self.n_persons), names=["n_persons", "parameter"])

    def summary(self) -> Table:
        """The study as a table."""
        head = Pairs(
            [
                (f"Sample sizes ({self.units})", ", ".join(format_count(n) for n in self.n_persons)),
                ("Samples of each", self.replications, format_count),
                ("Covariance", self.cov_type),
                ("Seed", str(self.seed)),
            ]
        )
        kind = self.cov_type
        shown = {
            "truth": ("truth", None),
            "mean": ("mean", None),
            "bias": ("bias", None),
            "+-": ("bias_mc_error", None),
            "sd": ("sd", None),
            "RMSE": ("rmse", None),
            "std err\n/ sd": (f"ratio_{kind}", ".3f"),
            "90 %\ncovers": (f"coverage90_{kind}", format_percent),
            "95 %\ncovers": (f"coverage95_{kind}", format_percent),
        }
        columns = [Column("", "left"), *(Column(h, format=f) for h, (_, f) in shown.items())]
        blocks: list[Block | Pairs] = [head]
        for n, recovery in zip(self.n_persons, self._recoveries, strict=True):
            table = recovery.table[[c for c, _ in shown.values()]]
            rows: list[list[Cell]] = [
                [str(name), *map(float, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)
            ]
            blocks.append(Block(columns, rows, title=f"{format_count(n)} {self.units}: {_how_many(recovery)}"))
        return Table(f"Recovery of {self.fitted}", blocks, self._notes())

    def _notes(self) -> list[str]:
        notes = [
            f"Simulated: {self.simulated}.",
            "+- is the Monte Carlo error of the bias; std err / sd compares the mean standard error with the sd of "
            "the estimates.",
        ]
        without = [n for n, t in zip(self.names, self.truth, strict=True) if np.isnan(t)]
        if without:
            notes.append(f"The simulated model has no {', '.join(without)}: there is no truth to compare with.")
        if any(r.replications + r.failed < self.replications for r in self._recoveries):
            notes.insert(0, "UNFINISHED: call recovery_study with the same arguments and this file to go on.")
        return notes

    def __repr__(self) -> str:
        return self.summary().as_text()

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the study to a JSON file; `choicemodel.load_study` reads it back."""
        storage.write(path, "study", {f: getattr(self, f) for f in self.__dataclass_fields__})


def _how_many(recovery: Recovery) -> str:
    failed = f", {format_count(recovery.failed)} did not converge" if recovery.failed else ""
    return f"{format_count(recovery.replications)} refits{failed}"


def load_study(path: str | os.PathLike[str]) -> RecoveryStudy:
    """Read a recovery study that was saved, or the file of one that was cut off.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    ResultFileError
        If the file is missing, damaged, or of another kind.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> study = cm.recovery_study(result, replications=5, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study.save(Path(folder) / "study.json")
    ...     loaded = cm.load_study(Path(folder) / "study.json")
    ...
    >>> loaded.to_frame().equals(study.to_frame())
    True
    """
    found: RecoveryStudy = rebuild(RecoveryStudy, path, "study")
    return found


def rebuild(cls: Callable[..., Any], path: str | os.PathLike[str], kind: str) -> Any:
    """Make an object of the content of its file."""
    content = storage.read(path, kind)
    try:
        with np.errstate(all="ignore"):
            found = cls(**{**content, "arrays": tuple(content["arrays"])})
            repr(found), found.to_frame()  # looks at every part, so that what does not fit shows here
    except Exception as error:  # noqa: BLE001 - the checksum holds, so somebody made this up, and anything may be wrong
        raise storage.made_up(path, kind, error) from None
    return found


def recovery_study(  # noqa: PLR0913 - a public entry point
    model: ChoiceModel | ChoiceResults,
    params: Params | None = None,
    replications: int = 200,
    *,
    n_persons: Sequence[int] | int | None = None,
    fit_model: ChoiceModel | None = None,
    cov_type: str | None = None,
    rng: int | np.random.Generator | None = None,
    workers: Workers = 1,
    file: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> RecoveryStudy:
    """Simulate samples, refit, and compare the estimates with the truth, over sample sizes.

    Parameters
    ----------
    model : ChoiceModel or ChoiceResults
        What is simulated, with its data: their attributes are kept, their choices and weights are not used. Every
        parameter is estimated again, those that a result held fixed too.
    params : dict, Series or sequence, optional
        Every parameter to simulate at; default those of the result.
    replications : int
        Samples of each size.
    n_persons : int or list of int, optional
        Sample sizes. Each replication draws its persons (situations, where no persons are declared) from the data, with
        replacement where more are wanted than there are. Default the data as they are, in every replication.
    fit_model : ChoiceModel, optional
        Another model on the same data to fit instead, to see what a wrong model does; parameters are compared by name.
    cov_type : {"nonrobust", "opg", "robust"}, optional
        Covariance that the summary shows; default robust where persons or rankings are declared, else nonrobust.
    rng : int, Generator or None
        Seed; it is in the study, and the same seed gives the same study.
    workers : int or distributed.Client
        Processes, or the client of a cluster; the numbers are the same for any. A script that asks for more than one
        process must have its calls under ``if __name__ == "__main__":``.
    file : path-like, optional
        Where the study is kept while it runs. If it is cut off, the same call goes on from there; with more
        `replications` it adds to them.
    progress : bool, optional
        Show progress on stderr; by default on a terminal or in a notebook, after two seconds.

    Returns
    -------
    RecoveryStudy

    Raises
    ------
    SpecificationError
        If parameters are missing, or the models have different data.
    ResultFileError
        If the file belongs to another study.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> model = cm.MultinomialLogit(data, "gc + ttme", base="car")
    >>> study = cm.recovery_study(model, model.fit().params, 20, n_persons=[100, 200], rng=1)
    >>> study.to_frame().loc[200, ["truth", "bias", "sd"]].shape
    (5, 3)
    """
    sizes = check_plan(replications, workers, n_persons)
    sim = simulator(model, params, None)
    sim.design.data.require_in_memory("recovery_study")
    simulated = _model_of(model)
    fitted = simulated if fit_model is None else fit_model
    laboratory = Laboratory.of(sim, [fitted])
    given = dict(zip(simulated.parameters.names, sim.theta, strict=True))
    names = fitted.parameters.names
    truth = np.array([given.get(n, np.nan) for n in names])
    kind = check_cov_type(cov_type, sim.design.data)
    shown = tuple(laboratory.n_units if n is None else n for n in sizes)
    head: dict[str, Any] = {
        "simulated": describe(simulated),
        "fitted": describe(fitted),
        "names": names,
        "truth": truth,
        "n_persons": shown,
        "units": laboratory.units,
        "replications": int(replications),
        "cov_type": kind,
        "seed": seed_for(rng, file, "study"),
        "key": f"{laboratory.fingerprint()}|{kind}|{sizes}",
    }
    work = _Recover(laboratory, truth, np.where(np.isnan(truth), fitted.parameters.starts, truth), kind)
    plan = Plan("study", head, sizes, _as_arrays(Replications.blank(0, len(names))), file)
    return RecoveryStudy(**head, arrays=carry_out(work, plan, workers=workers, progress=progress))


def _model_of(model: ChoiceModel | ChoiceResults) -> ChoiceModel:
    return model.model if isinstance(model, ChoiceResults) else model  # type: ignore[return-value]
