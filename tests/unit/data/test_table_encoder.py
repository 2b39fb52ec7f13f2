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
    options = {name: columns.pop(name) for name in ("impute", "scaling", "dates") if name in columns}
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


def test_all_columns_can_share_one_range_as_pixels_do():
    data = inputs(a=[0.0, 51, 0, 102, 500], b=[255.0, 0, 0, 51, 0], c=[7.0] * 5, scaling="minmax_all")
    encoded = TableEncoder.fit(data, ALL).transform(data)
    np.testing.assert_allclose(encoded, np.array([[0, 255], [51, 0], [0, 0], [102, 51], [500, 0]]) / 255, rtol=1e-6)


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


def test_it_says_which_places_stand_for_one_column():
    data = inputs(["c", "d"], x=[1.0, 2, 3, 4], c=["red", "blue", "red", "grey"], d=["a", "b", None, "a"])
    encoder = TableEncoder.fit(data, ALL)
    assert encoder.one_hot == ((1, 4), (4, 6))
    assert all(encoder.transform(data)[:, first:end].sum(1).max() == 1 for first, end in encoder.one_hot)
    assert TableEncoder.fit(inputs(x=[1.0, 2, 3, 4]), ALL).one_hot == ()


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


def test_unseen_texts_and_columns_are_told():
    encoder = TableEncoder.fit(inputs(["c"], c=["red", "blue", "red", None], x=[1.0, 2, 3, 4]), ALL)
    new = inputs(["c"], c=["blue", "green", "green", None], x=[1.0] * 4, more=[0.0] * 4)
    assert encoder.transform(new).shape == (4, 3)
    columns, texts = encoder.notes(new)
    assert "passed over" in columns
    assert "`more`" in columns
    assert "column `c`: 2 rows" in texts
    assert "`green`" in texts
    assert encoder.notes(inputs(["c"], c=["red"], x=[1.0])) == []


def test_columns_that_are_not_encoded_may_be_missing_in_new_rows():
    encoder = TableEncoder.fit(inputs(x=[1.0, 2, 3, 4], k=[5.0] * 4), ALL)
    assert encoder.transform(inputs(x=[1.0])).shape == (1, 1)


def test_numbers_that_are_categories_are_the_same_as_their_text():
    encoder = TableEncoder.fit(inputs(["c"], c=[1.0, 2.0, np.nan, 2.0]), ALL)
    assert encoder.transform(inputs(["c"], c=["2", "1.0", "x", None])).tolist() == [[0, 1], [1, 0], [0, 0], [0, 0]]


def test_dates_become_days_and_cycles_that_agree_with_a_slow_computation():
    days = np.array([0, 100, 200, 300, 400, np.nan])  # 1970-01-01 was a Thursday
    data = inputs(d=days, scaling="none", dates={"d": "iso"})
    encoder = TableEncoder.fit(data, np.arange(6))
    assert [column.part for column in encoder.numeric] == [
        "days", "year_sine", "year_cosine", "week_sine", "week_cosine"]  # fmt: skip
    encoded = encoder.transform(data)
    np.testing.assert_allclose(encoded[:5, 1], np.sin(2 * np.pi * (days[:5] % 365) / 365), atol=1e-6)
    np.testing.assert_allclose(encoded[:5, 4], np.cos(2 * np.pi * ((days[:5] + 3) % 7) / 7), atol=1e-6)
    assert encoded[5, 0] == 200  # the median
    texts = inputs(d=["1970-01-01", "1971-02-05", None], scaling="none")
    np.testing.assert_allclose(encoder.transform(texts), encoded[[0, 4, 5]], atol=1e-6)
    assert TableEncoder.from_json(json.loads(json.dumps(encoder.to_json()))) == encoder


def test_days_are_counted_from_the_earliest_of_the_training_rows():
    data = inputs(d=[19000.0, 19001, 19002, 18000], scaling="minmax", impute="zero", dates={"d": "iso"})
    encoder = TableEncoder.fit(data, np.arange(3))
    assert encoder.numeric[0].offset == encoder.numeric[0].fill == 19000
    assert encoder.transform(data)[:, 0].tolist() == [0, 0.5, 1, -500]


def test_the_same_day_of_every_year_is_no_cycle():
    days = [
        float((np.datetime64(f"{year}-06-01") - np.datetime64("1970-01-01")).astype(int)) for year in range(2000, 2008)
    ]
    encoder = TableEncoder.fit(inputs(d=days, dates={"d": "iso"}), np.arange(8))
    assert [column.part for column in encoder.numeric] == ["days", "week_sine", "week_cosine"]


def test_a_date_that_its_format_does_not_read_is_refused():
    encoder = TableEncoder.fit(inputs(d=[0.0, 1, 2, 3], dates={"d": "%d/%m/%Y"}), ALL)
    assert encoder.transform(inputs(d=["01/02/1970"]))[0, 0] > 0
    with pytest.raises(DataError, match="`1970-02-01` is not a date as `%d/%m/%Y` reads them"):
        encoder.transform(inputs(d=["01/02/1970", "1970-02-01"]))


def test_a_model_that_took_dates_as_text_says_so():
    encoder = TableEncoder.fit(inputs(["d"], d=["2024-01-01", "2024-01-02"]), np.arange(2))
    with pytest.raises(DataError, match="holds dates; the model was trained with it as text"):
        encoder.transform(inputs(d=[0.0, 1.0], dates={"d": "iso"}))


def test_columns_may_come_in_another_order():
    encoder = TableEncoder.fit(inputs(a=[1.0, 2, 3, 4], b=[10.0, 20, 30, 50], scaling="none"), ALL)
    assert encoder.transform(inputs(b=[7.0], a=[3.0])).tolist() == [[3, 7]]
