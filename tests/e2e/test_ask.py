"""Random questions over random spans, against an evaluation written from docs/QUERY.md alone. `make ask` asks more."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "ask"))

from asking import ask_many  # noqa: E402

SEED = "1"
QUESTIONS = {"plain": 100, "encrypted": 60, "cleaned": 60, "evicted": 60, "evicting": 15}


@pytest.mark.parametrize("state", QUESTIONS)
def test_answers_are_those_of_the_documents(tmp_path, state):
    ask_many(tmp_path / state, state, SEED, range(QUESTIONS[state]))
