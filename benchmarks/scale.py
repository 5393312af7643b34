"""Data larger than memory, and a cluster: passes over Parquet, memory, and what a second worker brings.

    python benchmarks/scale.py                     # 10,000,000 situations, about 4 GB in a temporary folder
    python benchmarks/scale.py --situations 1000000

The file is made and removed here. A pass is held against the time that pyarrow takes to read and decode the same file
in the same run, with as many threads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import best, forget_peak, formula, read, report, resident, survey

import choicemodel as cm
from choicemodel.estimation import remote, streamed
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import build_blocks, likelihood_of

J, K = 5, 10
# Situations that are written at a time: whole sections, so that a row group is read without a copy.
STEP = 104_858


def write(path: Path, n: int) -> None:
    """Choices from Gumbel utilities, sorted."""
    rng, beta, writer = np.random.default_rng(0), np.linspace(-1, 1, K), None
    for first in range(0, n, STEP):
        m = min(STEP, n - first)
        X = rng.normal(size=(K, m * J))
        U = (beta @ X + rng.gumbel(size=m * J)).reshape(m, J)
        columns = {
            "situation": np.repeat(np.arange(first, first + m), J),
            "alternative": np.tile(np.arange(J, dtype=np.int8), m),
            "choice": (np.arange(J) == U.argmax(axis=1)[:, np.newaxis]).ravel(),
            **{f"x{k}": X[k] for k in range(K)},
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, use_dictionary=["alternative"])
        writer.write_table(table, row_group_size=STEP * J)
    assert writer is not None
    writer.close()


def read_and_decode(path: Path) -> None:
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        file.read_row_group(group)


def fit_file(path: Path) -> None:
    """Fit in this process, and print what it took as JSON."""
    seconds: list[float] = []
    one_pass = streamed.StreamedLikelihood._pass

    def timed(*arguments: object, **options: object) -> object:
        began = time.perf_counter()
        found = one_pass(*arguments, **options)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - began)
        return found

    streamed.StreamedLikelihood._pass = timed  # type: ignore[assignment, method-assign]
    read_and_decode(path)  # the file is in the cache of the system for both
    decode = best(lambda: read_and_decode(path), 2)
    forget_peak()
    began = time.perf_counter()
    data = cm.ChoiceData.from_parquet(path, situation="situation", alternative="alternative", choice="choice")
    opened = time.perf_counter()
    model = cm.MultinomialLogit(data, formula(K))
    learned = time.perf_counter()
    result = model.fit()
    found = {
        "decode": decode,
        "open": opened - began,
        "learn": learned - opened,
        "fit": time.perf_counter() - learned,
        "passes": seconds,
        "peak": resident("VmHWM"),
        "worst": float(np.abs((result.params - np.linspace(-1, 1, K)) / result.bse).max()),
    }
    print(json.dumps(found))


def of_file(n: int, folder: Path) -> dict[str, object]:
    path = folder / "choices.parquet"
    write(path, n)
    done = subprocess.run([sys.executable, __file__, "--file", str(path)], check=True, capture_output=True, text=True)
    path.unlink()
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def files(n: int, folder: Path) -> None:
    costs = []
    for size in [s for s in (100_000, 1_000_000, n) if s <= n]:
        found = of_file(size, folder)
        whole = found["open"] + found["learn"] + found["fit"]  # type: ignore[operator]
        costs.append(whole / size * 1e6)
        print(f"{size:,} situations x {J} alternatives x {K} attributes; largest error {found['worst']:.1f} s.e.")
        report("pyarrow reads and decodes the file", found["decode"], "s")  # type: ignore[arg-type]
        report("opening (columns of situations, alternatives, choices)", found["open"], "s")  # type: ignore[arg-type]
        report("looking at all columns of the formula", found["learn"], "s")  # type: ignore[arg-type]
        passes = found["passes"]
        report("full passes, the look at the columns included", 1 + len(passes), "", 5)  # type: ignore[arg-type]
        slowest = max(passes) / found["decode"]  # type: ignore[type-var, operator]
        report("slowest pass / reading and decoding", slowest, "x", 2)
        report("from the file to the estimates", whole, "s")
        report("peak memory", found["peak"] / 1e9, "GB", 1.5)  # type: ignore[operator]
        report("cost of a situation", costs[-1], "us")
    if len(costs) > 1:
        report("cost of a situation, largest / 1,000,000 situations", costs[-1] / costs[min(1, len(costs) - 1)], "x")


def cluster(n: int) -> None:
    """Evaluations on one and on two worker processes, of data that are in memory."""
    from distributed import Client, LocalCluster

    data = read(survey(n)[0])
    model = cm.MultinomialLogit(data, formula(K))
    place = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "threads_per_worker": 1, "silence_logs": 50}
    seconds, values = [], []
    for workers in (1, 2):
        theta = np.linspace(-1, 1, K)
        with (
            LocalCluster(n_workers=workers, **place) as here,
            Client(here) as client,
            executor(1, client) as pool,
        ):
            blocks = build_blocks(model.composition().design, pool)
            assert isinstance(blocks, remote.OnCluster)
            likelihood = likelihood_of(model.composition(), pool, blocks)
            values.append(likelihood.evaluate_with_hessian(theta)[0].value)
            seconds.append(best(partial(likelihood.evaluate_with_hessian, theta), 5))
    assert values[0] == values[1] == model.evaluate(np.linspace(-1, 1, K)).value
    report(f"{n:,} situations: value, score and Hessian, one worker", 1000 * seconds[0], "ms")
    report("the same, two workers", 1000 * seconds[1], "ms")
    report("two workers / one", seconds[1] / seconds[0], "x", 1 / 1.6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--situations", type=int, default=10_000_000)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file is not None:
        fit_file(options.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        files(options.situations, Path(folder))
    cluster(2_000_000)


if __name__ == "__main__":
    main()
