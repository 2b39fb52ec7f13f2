"""Terms that tell clusters of texts apart."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from ncdcli.data.sources import TableInputs
from ncdcli.reports.facts import feature_words
from ncdcli.reports.features import as_columns, as_json, distinguishing, feature_text, find_rules
from ncdcli.reports.texts import as_table, is_free_text, term_columns

TOPICS = ("my card has not arrived yet", "what is the exchange rate today", "I want to close the account now")


def texts(n=300):
    """Texts of three topics, no two the same, and the topic of each."""
    topics = np.arange(n) % 3
    return [f"{TOPICS[topic]}, customer c{number}" for number, topic in enumerate(topics)], topics


@pytest.mark.parametrize(
    ("cells", "free"),
    [
        (texts()[0], True),
        (["red", "blue", "green"] * 20, False),
        ([f"id {number}" for number in range(60)], False),
        (["a text of several words"] * 60, False),
        ([None, *texts(50)[0], None], True),
        ([None, None], False),
    ],
)
def test_sentences_are_told_from_names(cells, free):
    assert is_free_text(pd.Series(cells, dtype="string")) is free


def test_terms_are_words_and_pairs_that_several_texts_hold():
    terms, held = term_columns(
        pd.Series(["The cat!", "the CAT sat", "the dog", "the dog", "the", "the x"], dtype="string")
    )
    assert terms == ["the"]  # five texts at least
    np.testing.assert_array_equal(held[:, 0], 1)
    few, held = term_columns(pd.Series(["ein Hund", "ein Hund"], dtype="string"))
    assert few == ["ein hund", "ein", "hund"]
    assert held.shape == (2, 3)


@pytest.mark.parametrize("cells", [["", None, "!?"], ["a", "b"]])
def test_texts_without_words_have_no_terms(cells):
    terms, held = term_columns(pd.Series(cells, dtype="string"))
    assert (terms, held.shape) == ([], (len(cells), 0))


def test_a_cluster_is_told_by_its_terms_each_word_once():
    cells, topics = texts()
    found = distinguishing(as_columns(as_table(cells)), topics, [0, 1, 2])
    words = [word for feature in found[0] if feature.difference > 0 for word in feature.category.split()]
    assert words
    assert set(words) <= set(TOPICS[0].split())
    assert len(words) == len(set(words))
    assert feature_text(found[0][0]) == "in 100 %, elsewhere 0 %"


def test_a_rule_names_the_words():
    cells, topics = texts()
    rules = find_rules(as_columns(as_table(cells)), topics, [1], np.random.default_rng(0))
    assert rules[1].precision == rules[1].recall == 1
    assert rules[1].conditions[0].startswith("text has “")


def test_texts_stand_beside_other_columns():
    cells, topics = texts()
    frame = pd.DataFrame({"age": topics * 10.0, "note": pd.array(cells, dtype="string")})
    columns = as_columns(TableInputs(frame, ("note",)))
    assert columns.texts == {"note"}
    found = distinguishing(columns, topics, [2])[2]
    assert {feature.column for feature in found} == {"age", "note"}


def test_nothing_is_said_of_clusters_of_texts_without_words():
    columns = as_columns(as_table([f"{number} ! ?" for number in range(60)]))
    groups = np.arange(60) % 2
    assert distinguishing(columns, groups, [0, 1]) == {0: [], 1: []}
    assert find_rules(columns, groups, [0, 1], np.random.default_rng(0)) == {}


def test_a_term_is_named_without_its_column():
    cells, topics = texts()
    found = distinguishing(as_columns(as_table(cells)), topics, [0, 1])
    assert feature_words(as_json(found[0], None)["features"][0]) in {f"{a} {b}" for a, b in pairwise(TOPICS[0].split())}
    frame = pd.DataFrame({"colour": pd.array(np.array(["red", "blue", "green"])[topics], dtype="string")})
    colours = distinguishing(as_columns(TableInputs(frame, ("colour",))), topics, [0, 1])
    assert feature_words(as_json(colours[1], None)["features"][0]) == "colour blue"
