"""Free text as columns of numbers: which words and pairs of words each text holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.sources import TableInputs

if TYPE_CHECKING:
    import pandas as pd

TERMS = 500  # words and pairs of words that are looked at, the most frequent ones
LEAST_TEXTS = 5  # that a term must be in
WORDS = 3  # in the middle text of a column: fewer are names, and more are sentences
LOOKED_AT = 1_000  # cells that tell which of the two a column holds


def as_table(texts: Sequence[str]) -> TableInputs:
    """Texts as a table with the one column `text`."""
    import pandas as pd

    return TableInputs(pd.DataFrame({"text": pd.Series(texts, dtype="string")}), ("text",))


def is_free_text(column: pd.Series) -> bool:
    """Whether the cells are sentences, most of them different ones, and not names of categories."""
    cells = column.dropna()
    if len(cells) > LOOKED_AT:
        cells = cells.iloc[np.linspace(0, len(cells) - 1, LOOKED_AT).astype(int)]
    texts = cells.astype(str)
    if texts.nunique() <= len(texts) / 2:
        return False
    return bool(np.median([len(text.split()) for text in texts]) >= WORDS)


def term_columns(column: pd.Series) -> tuple[list[str], NDArray[np.float64]]:
    """Terms, and (n, terms) 1 where a text holds one: pairs of words, then words, of two letters or more.

    A word is anything between spaces and punctuation, in lower case, in whatever language; no list of words to leave
    out is needed, since terms are told by how much more often they occur in a cluster than elsewhere.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    texts = column.fillna("").astype(str)
    vectorizer = CountVectorizer(
        binary=True, ngram_range=(1, 2), max_features=TERMS, min_df=min(LEAST_TEXTS, len(texts))
    )
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # no text has a word, or none occurs often enough
        return [], np.empty((len(texts), 0))
    terms = list(vectorizer.get_feature_names_out())
    order = sorted(range(len(terms)), key=lambda number: -terms[number].count(" "))
    return [terms[number] for number in order], counts.toarray()[:, order].astype(np.float64)
