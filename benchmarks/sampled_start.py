"""Mixtures and nested logits of many people: a start at the estimates of a sample of them against the usual one.

120,000 people with four choices each unless told otherwise, in a Parquet file and in memory; made and removed in a
temporary folder:
    python benchmarks/sampled_start.py [people]
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

import choicemodel as cm
from choicemodel.estimation import sampled_start
from choicemodel.estimation.streamed import StreamedBlocks, StreamedPeople

CHOICES, ALTERNATIVES = 4, 4
ROLES = {"person": "person", "situation": "situation", "alternative": "alternative", "choice": "choice"}
MODELS: dict[str, Callable[[cm.ChoiceData], cm.ChoiceModel]] = {
    "two classes": lambda data: cm.LatentClassLogit(data, "x + z", classes=2),
    "mixed, 64 draws": lambda data: cm.MixedLogit(data, "x + z", {"x": "normal"}, draws=cm.Draws("sobol", 64, rng=0)),
    "nested": lambda data: cm.NestedLogit(data, "x + z", {"a": [0, 1], "b": [2, 3]}),
}


def survey(n: int, seed: int = 0) -> pd.DataFrame:
    """People of two classes with Gumbel errors."""
    rng = np.random.default_rng(seed)
    N, J = n * CHOICES, ALTERNATIVES
    beta = np.where((rng.random(n) < 0.35)[:, np.newaxis], [-1.5, 0.2], [-0.3, 1.2])
    X = rng.standard_normal((N, J, 2))
    V = np.einsum("njk,nk->nj", X, np.repeat(beta, CHOICES, axis=0)) + np.array([0.0, 0.3, -0.2, 0.1])
    chosen = (V + rng.gumbel(size=V.shape)).argmax(axis=1)
    frame = pd.DataFrame(X.reshape(-1, 2), columns=["x", "z"])
    frame["person"] = np.repeat(np.arange(n), CHOICES * J)
    frame["situation"] = np.repeat(np.arange(N), J)
    frame["alternative"] = np.tile(np.arange(J), N)
    return frame.assign(choice=frame["alternative"] == np.repeat(chosen, J))


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count passes over the parts of a file."""
    passes = [0]

    def watched(of: Callable[..., Any]) -> Callable[..., Any]:
        def parts(self: Any) -> Any:
            passes[0] += 1
            return of(self)

        return parts

    kinds = (StreamedBlocks, StreamedPeople)
    patches = [mock.patch.object(kind, "parts", watched(kind.parts)) for kind in kinds]
    for patch in patches:
        patch.start()
    try:
        yield passes
    finally:
        for patch in patches:
            patch.stop()


def fitted(model: cm.ChoiceModel) -> tuple[cm.ChoiceResults, float, int]:
    """A fit, its seconds and its passes."""
    with counted() as passes, warnings.catch_warnings():
        warnings.simplefilter("ignore", cm.exceptions.ChoiceModelWarning)
        began = time.perf_counter()
        return model.fit(), time.perf_counter() - began, passes[0]


def main(n: int) -> None:
    """Fit every model from a file and in memory, with the sample and without."""
    frame = survey(n)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "survey.parquet"
        frame.to_parquet(path, row_group_size=2**18)
        print(f"{n:,} people, {CHOICES} choices each among {ALTERNATIVES} alternatives")
        for name, build in MODELS.items():
            found = {}
            for start, large in (("a sample", n), ("usual", sys.maxsize)):
                with mock.patch.object(sampled_start, "LARGE", large):
                    stored, on_disk, passes = fitted(build(cm.ChoiceData.from_parquet(path, **ROLES)))
                    memory, here, _ = fitted(build(cm.ChoiceData.from_long(frame, **ROLES)))
                assert stored.params.equals(memory.params)
                found[start] = memory
                print(f"{name:<16} {start:<9} file {on_disk:6.1f} s, {passes:5,} passes; in memory {here:6.1f} s")
            apart = (found["usual"].params - found["a sample"].params).abs() / found["usual"].bse
            print(f"{'':<16} estimates differ by at most {apart.max():.1g} standard errors")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 120_000)
