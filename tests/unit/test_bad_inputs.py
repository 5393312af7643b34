"""Bad inputs of many kinds get an error of the package with a remedy; the page in the docs is made of the same list."""

from pathlib import Path

import pytest

from choicemodel.exceptions import ChoiceModelError
from tests.unit.bad_inputs import GROUPS, PAGE, Bad, page

KINDS = [bad for group in GROUPS.values() for bad in group]


@pytest.mark.parametrize("bad", KINDS, ids=lambda bad: bad.kind)
def test_a_bad_input_is_refused_in_words(bad: Bad, tmp_path: Path) -> None:
    with pytest.raises(ChoiceModelError) as caught:
        bad.make(tmp_path)
    assert type(caught.value) is bad.error
    message = " ".join(str(caught.value).split())
    assert bad.words in message
    assert len(bad.words) >= 12
    assert len(message) < 1500


def test_kinds_are_many_and_each_is_there_once() -> None:
    kinds = [bad.kind for bad in KINDS]
    assert len(kinds) == len(set(kinds))
    assert len(kinds) >= 60


def test_the_page_is_made_of_the_list() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.unit.bad_inputs"
