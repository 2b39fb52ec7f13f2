"""Encoded rows: statistics of the training rows only, unseen texts, constants, and the JSON round trip."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from ncdcli.data.sources import TableInputs
from ncdcli.data.table_encoder import TableEncoder
from ncdcli.errors import DataError

ALL = np.arange(4)


def inputs(categorical=(), **columns) -> TableInputs:
    options = {name: columns.pop(name) for name in ("impute", "scaling") if name in columns}
    return TableInputs(pd.DataFrame(columns), tuple(categorical), **options)


@pytest.mark.parametrize(("scaling", "reference"), [("zscore", StandardScaler()), ("minmax", MinMaxScaler())])
def test_scaling_agrees_with_scikit_learn_and_sees_training_rows_only(scaling, reference):
    rng = np.random.default_rng(0)
    values = rng.normal(3, 7, (50, 2))
    data = inputs(a=values[:, 0], b=values[:, 1], scaling=scaling)
    encoder = TableEncoder.fit(data, np.arange(30))
    expected = reference.fit(values[:30]).transform(values)
    encoded = encoder.transform(data)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("impute", "fill"), [("median", 2.0), ("mean", 4.0), ("zero", 0.0)])
def test_missing_values_are_filled_from_training_rows(impute, fill):
    data = inputs(x=[1.0, 2.0, 9.0, np.nan, 1000.0], impute=impute, scaling="none")
    encoded = TableEncoder.fit(data, np.arange(4)).transform(data)
    assert encoded[:, 0].tolist() == [1, 2, 9, fill, 1000]


def test_texts_become_one_column_each_and_new_or_missing_ones_none():
    data = inputs(["c"], c=["red", "blue", "red", None])
    encoder = TableEncoder.fit(data, ALL)
    new = inputs(["c"], c=["blue", "green", None])
    assert encoder.transform(new).tolist() == [[1, 0], [0, 0], [0, 0]]
    assert encoder.dim == 2


def test_a_numeric_column_named_categorical_is_one_hot_whole_numbers_as_one():
    encoder = TableEncoder.fit(inputs(["c"], c=[1, 2, 1, 2]), ALL)
    assert encoder.transform(inputs(["c"], c=[1.0, np.nan, 2.0])).tolist() == [[1, 0], [0, 0], [0, 1]]


def test_columns_that_are_constant_in_training_rows_are_dropped():
    data = inputs(["c"], x=[1.0, 2, 3, 4], k=[5.0, 5, 5, 6], n=[np.nan] * 4, c=["a"] * 4)
    encoder = TableEncoder.fit(data, np.arange(3))
    assert encoder.dropped == ("k", "n", "c")
    assert encoder.transform(data).shape == (4, 1)


def test_a_table_without_any_varying_column_is_refused():
    with pytest.raises(DataError, match="no column of the table varies"):
        TableEncoder.fit(inputs(x=[1.0] * 4), ALL)


def test_the_json_round_trip_is_exact():
    data = inputs(["c"], x=[0.1, 1 / 3, 2e-300, 7], c=["a", "b", "ü,\n", "a"])
    encoder = TableEncoder.fit(data, ALL)
    again = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    np.testing.assert_array_equal(again.transform(data), encoder.transform(data))


def test_other_columns_are_named():
    encoder = TableEncoder.fit(inputs(width=[1.0, 2, 3, 4], height=[1.0, 2, 3, 5]), ALL)
    with pytest.raises(DataError) as raised:
        encoder.transform(inputs(widht=[1.0], height=[2.0]))
    text = str(raised.value)
    assert "column `width` is missing" in text
    assert "did you mean `widht`?" in text
    assert "columns that it was not trained with: `widht`" in raised.value.hint


def test_text_in_a_column_of_numbers_and_overflow_are_refused():
    encoder = TableEncoder.fit(inputs(x=[1.0, 2, 3, 4]), ALL)
    with pytest.raises(DataError, match="column `x`: `one` is not a number"):
        encoder.transform(inputs(x=["one", "two"]))
    with pytest.raises(DataError, match="row 1 has a value too large"):
        encoder.transform(inputs(x=[1.0, 1e300]))


def test_columns_may_come_in_another_order():
    encoder = TableEncoder.fit(inputs(a=[1.0, 2, 3, 4], b=[10.0, 20, 30, 50], scaling="none"), ALL)
    assert encoder.transform(inputs(b=[7.0], a=[3.0])).tolist() == [[3, 7]]
