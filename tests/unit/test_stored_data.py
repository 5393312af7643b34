"""Data that are read from files a part at a time: the door, the formula, what is asked of them."""

import gc
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import choicemodel as cm
from choicemodel.data import sections
from choicemodel.data.sources import open_parquet
from choicemodel.data.stored import StoredData

pytest.importorskip("pyarrow")

LONG = {"situation": "individual", "alternative": "mode", "choice": "choice"}


@pytest.fixture(autouse=True)
def small_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "ROWS", 100)


@pytest.fixture
def trips() -> pd.DataFrame:
    frame = cm.datasets.travel_mode().sort_values(["individual", "mode"], ignore_index=True)
    return frame.assign(person=frame.individual // 3, weight=1.0 + frame.individual % 2, there=1)


def write(frame: pd.DataFrame, folder: Path, rows: int = 70) -> Path:
    path = folder / "trips.parquet"
    frame.to_parquet(path, row_group_size=rows)
    return path


def changed(frame: pd.DataFrame, rows: Any, **columns: Any) -> pd.DataFrame:
    frame = frame.copy()
    for name, value in columns.items():
        if isinstance(value, str):
            frame[name] = frame[name].astype(object)
        frame.loc[rows, name] = value
    return frame


BAD: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, Any]]] = {
    "no choice": (lambda f: changed(f, f.individual.isin([60, 110, 190]), choice=0), {}),
    "several choices": (lambda f: changed(f, f.individual.isin([20, 190]), choice=1), {}),
    "missing choice": (lambda f: changed(f, [5, 700], choice=np.nan), {}),
    "missing situation": (lambda f: changed(f, [300], individual=np.nan), {}),
    "missing alternative": (lambda f: changed(f, [301], mode=None), {}),
    "an alternative twice": (lambda f: changed(f, [401, 701], mode="air"), {}),
    "choice not available": (lambda f: changed(f, f.choice == 1, there=0), {"available": "there"}),
    "availability of two": (lambda f: changed(f, [300, 800], there=2), {"available": "there"}),
    "negative weights": (lambda f: changed(f, f.individual > 150, weight=-1.0), {"weight": "weight"}),
    "weights of zero": (lambda f: f.assign(weight=0.0), {"weight": "weight"}),
    "weight that differs": (lambda f: changed(f, [10, 810], weight=7.0), {"weight": "weight"}),
    "two persons": (lambda f: changed(f, [801], person=69), {"person": "person"}),
    "an unknown label": (lambda f: f.assign(choice="car").pipe(changed, slice(600, 603), choice="plane"), {}),
    "no such column": (lambda f: f, {"weight": "wieght"}),
}


@pytest.mark.parametrize("kind", BAD)
def test_the_door_says_the_same(kind: str, trips: pd.DataFrame, tmp_path: Path) -> None:
    spoil, roles = BAD[kind]
    frame = spoil(trips)
    path = write(frame, tmp_path)
    with pytest.raises(cm.exceptions.ChoiceDataError) as memory:
        cm.ChoiceData.from_long(pd.read_parquet(path), **LONG, **roles)
    with pytest.raises(type(memory.value)) as stored:
        cm.ChoiceData.from_parquet(path, **LONG, **roles)
    assert str(stored.value).replace(path.name, "the data") == str(memory.value)


FORMULAS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "missing values": (lambda f: changed(f, [33, 500, 839], gc=np.nan), "gc + ttme"),
    "infinite logs": (lambda f: f, "log(ttme)"),
    "a constant column": (lambda f: f.assign(one=1), "gc + one"),
    "a constant text": (lambda f: f.assign(one="a"), "gc + one"),
    "text as a number": (lambda f: f.assign(gc=f.gc.astype(str)), "gc + ttme"),
    "an attribute in part 2": (lambda f: f, "ttme | gc"),
    "zero for an alternative": (lambda f: f, "gc | 1 | ttme"),
    "no such column": (lambda f: f, "gc + time"),
    "a name as a category": (lambda f: f.assign(name=[f"n{i}" for i in range(len(f))]), "gc + name"),
}


@pytest.mark.parametrize("kind", FORMULAS)
def test_the_formula_says_the_same(kind: str, trips: pd.DataFrame, tmp_path: Path) -> None:
    spoil, formula = FORMULAS[kind]
    path = write(spoil(trips), tmp_path)
    with pytest.raises(cm.exceptions.ChoiceModelError) as memory:
        cm.MultinomialLogit(cm.ChoiceData.from_long(pd.read_parquet(path), **LONG), formula)
    with pytest.raises(type(memory.value)) as stored:
        cm.MultinomialLogit(cm.ChoiceData.from_parquet(path, **LONG), formula)
    assert str(stored.value) == str(memory.value)


@pytest.mark.slow
def test_a_column_that_is_constant_in_every_part_is_none(trips: pd.DataFrame, tmp_path: Path) -> None:
    frame = trips.assign(wave=np.arange(len(trips)) // 420, name=np.where(np.arange(len(trips)) < 320, "a", "b"))
    stored = cm.ChoiceData.from_parquet(write(frame, tmp_path), **LONG)
    memory = cm.ChoiceData.from_long(frame, **LONG)
    formula = "gc | 0 + wave + name"
    a, b = (cm.MultinomialLogit(d, formula).fit() for d in (memory, stored))
    assert np.array_equal(a.params, b.params)


# --- order ------------------------------------------------------------------------------------------------------------


def test_an_unsorted_file_is_refused_with_the_line_that_sorts_it(trips: pd.DataFrame, tmp_path: Path) -> None:
    path = write(trips.sample(frac=1, random_state=0), tmp_path)
    with pytest.raises(cm.exceptions.SpecificationError, match=r"sort_values\(\['individual'\]\)") as error:
        cm.ChoiceData.from_parquet(path, **LONG)
    assert "sort=True" in str(error.value)


def test_a_file_is_sorted_on_disk(trips: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("choicemodel.data.opening._BUCKET_ROWS", 200)  # several buckets
    path = write(trips.sample(frac=1, random_state=0), tmp_path)
    data = cm.ChoiceData.from_parquet(path, **LONG, person="person", sort=True)
    memory = cm.ChoiceData.from_long(trips, **LONG, person="person")
    assert data.fingerprint() == memory.fingerprint()
    assert isinstance(data, StoredData)
    assert data.in_memory().frame[trips.columns].equals(trips)


def test_alternatives_in_any_order(trips: pd.DataFrame, tmp_path: Path) -> None:
    mixed = trips.sample(frac=1, random_state=0).sort_values("individual", kind="stable")
    a = cm.ChoiceData.from_parquet(write(mixed, tmp_path), **LONG)
    b = cm.ChoiceData.from_long(trips, **LONG)
    assert a.fingerprint() == b.fingerprint()
    fits = [cm.MultinomialLogit(d, "gc + ttme").fit() for d in (a, b)]
    assert np.array_equal(fits[0].params, fits[1].params)


def test_situations_of_several_people_with_one_number(trips: pd.DataFrame, tmp_path: Path) -> None:
    again = trips.assign(task=trips.groupby("person").individual.rank("dense").astype(int))
    path = write(again, tmp_path)
    roles = {"alternative": "mode", "choice": "choice", "person": "person"}
    with pytest.raises(cm.exceptions.ChoiceDataError):
        cm.ChoiceData.from_parquet(path, situation="task", **roles)
    one_each = write(again[again.individual % 3 == 0].assign(task=lambda f: f.person % 40), tmp_path)
    with pytest.raises(cm.exceptions.ChoiceDataError, match=r"situation=\['person', 'task'\]"):
        cm.ChoiceData.from_parquet(one_each, situation="task", **roles)
    both = cm.ChoiceData.from_parquet(write(again, tmp_path), situation=["person", "task"], **roles)
    memory = cm.ChoiceData.from_long(again, situation=["person", "task"], **roles)
    assert both.fingerprint() == memory.fingerprint()


# --- what files hold --------------------------------------------------------------------------------------------------


def test_availability_is_left_out(trips: pd.DataFrame, tmp_path: Path) -> None:
    frame = changed(trips, (trips["mode"] == "bus") & (trips.choice == 0) & (trips.individual % 4 == 0), there=0)
    path = write(frame, tmp_path)
    a = cm.ChoiceData.from_parquet(path, **LONG, available="there")
    b = cm.ChoiceData.from_long(frame, **LONG, available="there")
    assert a.fingerprint() == b.fingerprint()
    assert np.array_equal(cm.MultinomialLogit(a, "gc").fit().params, cm.MultinomialLogit(b, "gc").fit().params)


def test_labels_as_choices(trips: pd.DataFrame, tmp_path: Path) -> None:
    number = {"air": 0, "bus": 1, "car": 2, "train": 3}
    chosen = trips[trips.choice == 1].set_index("individual")["mode"]
    frame = trips.assign(mode=trips["mode"].map(number), choice=trips.individual.map(chosen).map(number))
    early = frame.sort_values(["choice", "individual", "mode"])  # the first parts hold 0 and 1 alone
    early = early.assign(individual=pd.factorize(early.individual)[0])
    a = cm.ChoiceData.from_parquet(write(early, tmp_path), **LONG)
    assert a.fingerprint() == cm.ChoiceData.from_long(early, **LONG).fingerprint()


def test_categories_keep_their_order(trips: pd.DataFrame, tmp_path: Path) -> None:
    modes = pd.Categorical(trips["mode"], categories=["train", "bus", "car", "air"])
    frame = trips.assign(mode=modes)[trips.psize < 3]
    frame["size"] = pd.Categorical(frame.psize.map("s{}".format), categories=["s2", "s1"])
    frame = frame.sort_values(["individual", "mode"], ignore_index=True)
    a = cm.ChoiceData.from_parquet(write(frame, tmp_path), **LONG)
    b = cm.ChoiceData.from_long(frame, **LONG)
    assert a.alternatives == b.alternatives == ("train", "bus", "car", "air")
    fits = [cm.MultinomialLogit(d, "gc | size").fit() for d in (a, b)]
    assert fits[0].params.equals(fits[1].params)


def test_several_files_are_one_table(trips: pd.DataFrame, tmp_path: Path) -> None:
    for i, part in enumerate(np.array_split(np.arange(len(trips)), 5)):
        trips.iloc[part].to_parquet(tmp_path / f"part-{i}.parquet")
    data = cm.ChoiceData.from_parquet(tmp_path, **LONG)
    assert data.fingerprint() == cm.ChoiceData.from_long(trips, **LONG).fingerprint()
    assert "part-0.parquet and 4 more" in repr(data)
    trips.assign(gc=trips.gc.astype(float)).to_parquet(tmp_path / "part-5.parquet")
    with pytest.raises(cm.exceptions.SpecificationError, match="other columns than"):
        cm.ChoiceData.from_parquet(tmp_path, **LONG)


@pytest.mark.parametrize(("name", "words"), [("no.parquet", "There is no file"), ("text.parquet", "cannot be read")])
def test_what_is_no_file(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("mode,choice\n")
    with pytest.raises(cm.exceptions.SpecificationError, match=words):
        cm.ChoiceData.from_parquet(tmp_path / name, **LONG)


def test_a_pattern_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match="patterns are not read"):
        cm.ChoiceData.from_parquet(tmp_path / "*.parquet", **LONG)
    with pytest.raises(cm.exceptions.SpecificationError, match="no Parquet file in /"):
        cm.ChoiceData.from_parquet(tmp_path, **LONG)


def test_an_empty_file(trips: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(cm.exceptions.EmptyDataError):
        cm.ChoiceData.from_parquet(write(trips.iloc[:0], tmp_path), **LONG)


WIDE = {
    "choice": "chosen",
    "alternatives": {"air": 1, "bus": 2, "car": 3, "train": 4},
    "attributes": {"gc": "gc_{alternative}", "ttme": "ttme_{alternative}"},
}


def wide(trips: pd.DataFrame) -> pd.DataFrame:
    table = trips.pivot_table(index="individual", columns="mode", values=["gc", "ttme"], aggfunc="first")
    table.columns = [f"{a}_{b}" for a, b in table.columns]
    chosen = trips[trips.choice == 1].set_index("individual")["mode"].map(WIDE["alternatives"])  # type: ignore[arg-type]
    return table.assign(chosen=chosen, hinc=trips.groupby("individual").hinc.first()).reset_index(drop=True)


@pytest.mark.slow
def test_wide_files(trips: pd.DataFrame, tmp_path: Path) -> None:
    frame = wide(trips)
    data = cm.ChoiceData.from_parquet(write(frame, tmp_path), **WIDE)
    memory = cm.ChoiceData.from_wide(frame, **WIDE)
    assert data.alternatives == memory.alternatives
    fits = [cm.MultinomialLogit(d, "gc + ttme | hinc").fit() for d in (memory, data)]
    assert np.array_equal(fits[0].params, fits[1].params)
    folder = data.keeping.folder.path  # type: ignore[attr-defined]
    assert folder.exists()
    del data, fits
    gc.collect()
    assert not folder.exists()


def test_files_made_on_the_way_have_the_name_of_the_users_file(trips: pd.DataFrame, tmp_path: Path) -> None:
    mixed = wide(trips).assign(who=np.arange(210) // 3).sample(frac=1, random_state=0)
    path = write(mixed, tmp_path)
    with pytest.raises(cm.exceptions.SpecificationError, match=r"trips.parquet are not .* by `who`") as error:
        cm.ChoiceData.from_parquet(path, **WIDE, person="who")
    assert "sort_values(['who'])" in str(error.value)
    assert "in trips.parquet>" in repr(cm.ChoiceData.from_parquet(path, **WIDE, person="who", sort=True))


def test_an_error_in_a_wide_file_says_how_far_it_looked(trips: pd.DataFrame, tmp_path: Path) -> None:
    path = write(wide(trips).assign(chosen=5), tmp_path)
    with pytest.raises(cm.exceptions.ChoiceCodingError) as error:
        cm.ChoiceData.from_parquet(path, **WIDE)
    assert error.value.__notes__ == ["Counted in the rows before 25 of 210: later ones were not read."]


# --- what is asked of them --------------------------------------------------------------------------------------------


@pytest.fixture
def stored(trips: pd.DataFrame, tmp_path: Path) -> cm.ChoiceData:
    return cm.ChoiceData.from_parquet(write(trips, tmp_path), **LONG)


@pytest.fixture
def memory(trips: pd.DataFrame) -> cm.ChoiceData:
    return cm.ChoiceData.from_long(trips, **LONG)


def test_assigned_columns(stored: cm.ChoiceData, memory: cm.ChoiceData) -> None:
    def more(data: cm.ChoiceData) -> cm.ChoiceData:
        data = data.assign(fast=lambda d: np.log1p(d["ttme"]), number=np.arange(data.n_rows) % 7)
        return data.assign(fast=lambda d: d.fast * d.number + d.gc, five=5.0)

    a, b = more(stored), more(memory)
    assert a.columns == b.columns
    for name in ("fast", "number", "five"):
        assert np.array_equal(a.column(name), b.column(name))
    fits = [cm.MultinomialLogit(d, "gc + fast").fit() for d in (a, b)]
    assert np.array_equal(fits[0].params, fits[1].params)


def test_a_column_that_looks_at_other_rows_is_refused(stored: cm.ChoiceData) -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match="depends on other rows"):
        stored.assign(centred=lambda d: d.gc - d.gc.mean())
    with pytest.raises(cm.exceptions.SpecificationError, match="has 3 values"):
        stored.assign(three=[1, 2, 3])
    with pytest.raises(cm.exceptions.SpecificationError, match="who chose what"):
        stored.assign(mode="air")


def test_situations_by_a_condition(stored: cm.ChoiceData, memory: cm.ChoiceData) -> None:
    a, b = (d.assign(rich=lambda f: f.hinc > 30).query("rich and psize < 3") for d in (stored, memory))
    assert isinstance(a, StoredData)
    assert a.fingerprint() == b.fingerprint()
    fits = [cm.MultinomialLogit(d, "gc + ttme").fit() for d in (a, b)]
    assert np.array_equal(fits[0].params, fits[1].params)
    again = [d.query("hinc > 40") for d in (a, b)]
    assert again[0].fingerprint() == again[1].fingerprint()
    with pytest.raises(cm.exceptions.VaryingCovariateError, match="differs within a situation"):
        stored.query("gc > 100")
    with pytest.raises(cm.exceptions.EmptyDataError):
        stored.query("hinc > 1000")


@pytest.mark.parametrize("condition", ["hinc > hinc.mean()", "hinc.rank() > 30", "hinc == hinc.max()"])
def test_a_condition_that_looks_at_other_rows_is_refused(stored: cm.ChoiceData, condition: str) -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match="depends in a row on other rows"):
        stored.query(condition)


def test_new_weights(trips: pd.DataFrame, tmp_path: Path) -> None:
    path = write(trips, tmp_path)
    a = cm.ChoiceData.from_parquet(path, **LONG, weight="weight").normalise_weights()
    b = cm.ChoiceData.from_long(trips, **LONG, weight="weight").normalise_weights()
    assert a.fingerprint() == b.fingerprint()


def test_a_sample_is_that_of_memory(stored: cm.ChoiceData, memory: cm.ChoiceData) -> None:
    a, b = (d.sample(40, rng=3) for d in (stored, memory))
    assert not a.is_stored
    assert a.fingerprint() == b.fingerprint()
    assert a.frame.reset_index(drop=True).equals(b.frame.reset_index(drop=True))
    assert isinstance(stored, StoredData)
    assert stored.in_memory().frame.equals(memory.frame)


ANALYSES: dict[str, Callable[[cm.ChoiceResults], Any]] = {
    "shares": lambda r: cm.shares(r, by="psize"),
    "wtp": lambda r: cm.willingness_to_pay(r, "ttme", per="gc"),
    "elasticities": lambda r: cm.elasticities(r, "gc"),
    "arcs": lambda r: cm.elasticities(r, "gc", kind="arc", average="simple"),
    "effects": lambda r: cm.marginal_effects(r, "ttme"),
    "surplus": lambda r: cm.consumer_surplus(r, None, {"ttme": {"air": "-10%"}}, per="gc"),
}


@pytest.mark.parametrize(
    "ask",
    [pytest.param(a, id=n, marks=[] if n in ("shares", "wtp") else [pytest.mark.slow]) for n, a in ANALYSES.items()],
)
def test_analyses_give_the_same_bits(
    ask: Callable[[cm.ChoiceResults], Any], stored: cm.ChoiceData, memory: cm.ChoiceData
) -> None:
    found = [ask(cm.MultinomialLogit(d, "gc + ttme").fit()).to_frame() for d in (stored, memory)]
    assert found[0].equals(found[1])


def test_clusters(stored: cm.ChoiceData, memory: cm.ChoiceData) -> None:
    found = [cm.MultinomialLogit(d, "gc + ttme").fit(cov_type="cluster", groups="person") for d in (stored, memory)]
    assert np.array_equal(found[0].bse, found[1].bse)


def test_predictions_are_written(stored: cm.ChoiceData, memory: cm.ChoiceData, tmp_path: Path) -> None:
    result = cm.MultinomialLogit(stored, "gc + ttme").fit()
    path = tmp_path / "predicted.parquet"
    assert result.predict(path=path) is None
    table = pd.read_parquet(path)
    assert list(table.columns) == ["individual", "mode", "probability"]
    assert np.array_equal(table.probability, result.predict(memory))
    with pytest.raises(cm.exceptions.SpecificationError, match="does not exist"):
        result.predict(path=tmp_path / "no" / "p.parquet")


def test_predictions_are_not_written_over_the_survey(stored: cm.ChoiceData, tmp_path: Path) -> None:
    result = cm.MultinomialLogit(stored, "gc").fit()
    before = (tmp_path / "trips.parquet").read_bytes()
    with pytest.raises(cm.exceptions.SpecificationError, match="would be overwritten"):
        result.predict(stored, path=tmp_path / "trips.parquet")
    assert (tmp_path / "trips.parquet").read_bytes() == before


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_the_coded_design_is_kept(kind: str, trips: pd.DataFrame, tmp_path: Path, memory: cm.ChoiceData) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    data = cm.ChoiceData.from_parquet(write(trips, tmp_path), **LONG, cache=kind, folder=kept)
    model = cm.MultinomialLogit(data, "gc + ttme")
    found = [model.fit(), model.fit(), cm.MultinomialLogit(memory, "gc + ttme").fit()]
    assert len(list(kept.glob("design-*/*.npy"))) > 5
    assert np.array_equal(found[0].params, found[1].params)
    if kind == "float64":
        assert np.array_equal(found[1].params, found[2].params)
    assert found[1].params.to_numpy() == pytest.approx(found[2].params.to_numpy(), rel=1e-5)


@pytest.mark.slow
def test_verification_of_a_sample(stored: cm.ChoiceData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["choicemodel.simulation.verify"], "_SAMPLED", 100)
    report = cm.verify(cm.MultinomialLogit(stored, "gc + ttme").fit(), simulations=500, rng=1)
    assert report.passed
    assert "on a sample of 100 situations" in report.model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("iia_test", lambda r: cm.iia_test(r, drop="air")),
        ("lm_test", lambda r: cm.lm_test(r, "hinc:gc")),
        ("recovery_study", lambda r: cm.recovery_study(r, replications=3)),
        ("The bootstrap", lambda r: cm.willingness_to_pay(r, "ttme", per="gc", method="bootstrap", draws=3)),
        ("drop_alternative", lambda r: r.data.drop_alternative("air")),
        ("sample_alternatives", lambda r: r.data.sample_alternatives(2)),
        ("describe", lambda r: r.data.describe()),
    ],
)
def test_what_needs_memory_says_so_by_name(
    name: str, ask: Callable[[cm.ChoiceResults], Any], stored: cm.ChoiceData
) -> None:
    result = cm.MultinomialLogit(stored, "gc + ttme").fit()
    with pytest.raises(cm.exceptions.SpecificationError, match=f"{name} needs the data in memory"):
        ask(result)


@pytest.mark.slow
def test_a_large_fit_starts_on_a_part(trips: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start on some blocks saves passes over the data, and leads to the same place."""
    several = pd.concat([trips.assign(individual=trips.individual + 1000 * i) for i in range(30)], ignore_index=True)
    monkeypatch.setattr(sections, "ROWS", 400)
    data = cm.ChoiceData.from_parquet(write(several, tmp_path, 5000), **LONG)
    passes = []
    step = sections.part_of

    def counted(structure: Any, section: Any) -> Any:
        passes.append(section.begin)
        return step(structure, section)

    monkeypatch.setattr("choicemodel.data.stored.part_of", counted)
    model = cm.MultinomialLogit(data, "gc + ttme")
    passes.clear()
    result = model.fit()
    n = len(sections.sections(data.structure))
    assert len(passes) <= 5.5 * n  # five passes and the sections of the start
    assert result.params.to_numpy() == pytest.approx(
        cm.MultinomialLogit(cm.ChoiceData.from_long(trips, **LONG), "gc + ttme").fit().params.to_numpy(), rel=1e-6
    )


def test_pyarrow_reads_what_is_read(trips: pd.DataFrame, tmp_path: Path) -> None:
    source = open_parquet(write(trips, tmp_path, 130))
    found = pd.DataFrame(source.read(100, 500, list(trips.columns)))
    assert found.equals(trips.iloc[100:500])


def test_single_alternatives_are_warned_of(trips: pd.DataFrame, tmp_path: Path) -> None:
    alone = trips[(trips.individual != 50) | (trips.choice == 1)]
    with pytest.warns(cm.exceptions.SingleAlternativeWarning, match="individual 50"):
        cm.ChoiceData.from_parquet(write(alone, tmp_path), **LONG)


# --- partitions -------------------------------------------------------------------------------------------------------


def test_partitions_give_the_same_bits(trips: pd.DataFrame) -> None:
    dd = pytest.importorskip("dask.dataframe")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = cm.ChoiceData.from_dask(dd.from_pandas(trips, npartitions=7), **LONG, person="person")
    memory = cm.ChoiceData.from_long(trips, **LONG, person="person")
    assert data.fingerprint() == memory.fingerprint()
    assert "in 7 partitions" in repr(data)
    fits = [cm.MultinomialLogit(d, "gc + ttme | hinc").fit() for d in (data, memory)]
    assert np.array_equal(fits[0].params, fits[1].params)
    assert np.array_equal(fits[0].bse, fits[1].bse)


def test_partitions_that_are_not_sorted(trips: pd.DataFrame) -> None:
    dd = pytest.importorskip("dask.dataframe")
    mixed = dd.from_pandas(trips.sample(frac=1, random_state=0), npartitions=3, sort=False)
    with pytest.raises(cm.exceptions.SpecificationError, match=r"frame.sort_values\(\['individual'\]\)"):
        cm.ChoiceData.from_dask(mixed, **LONG)


def test_what_is_no_dask_frame(trips: pd.DataFrame) -> None:
    with pytest.raises(cm.exceptions.SpecificationError, match="takes a Dask DataFrame"):
        cm.ChoiceData.from_dask(trips, **LONG)
