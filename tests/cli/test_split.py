"""Rows are dealt to training, validation and test."""

import numpy as np
import pytest
from fastmlp import datasets


def test_split_deals_every_row_once():
    x, y = np.arange(50)[:, None], np.arange(50) * 2
    parts = datasets.train_test_split(x, y, 0.3, 0)
    assert [len(part) for part in parts] == [35, 15, 35, 15]
    assert sorted([*parts[0][:, 0], *parts[1][:, 0]]) == list(range(50))
    for features, targets in (parts[0::2], parts[1::2]):
        assert np.array_equal(features[:, 0] * 2, targets)
    again = datasets.train_test_split(x, y, 0.3, 0)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    other = datasets.train_test_split(x, y, 0.3, 1)
    assert not np.array_equal(parts[1], other[1])
    assert len(datasets.train_test_split(x, y, 7, 0)[1]) == 7


def test_split_keeps_the_proportions_of_classes():
    y = np.repeat([0, 1, 2], [60, 30, 11])
    _, _, y_train, y_test = datasets.train_test_split(y[:, None], y, 0.2, 0, stratify=y)
    assert len(y_test) == 20
    assert np.bincount(y_test).tolist() == [12, 6, 2]
    assert np.bincount(y_train).tolist() == [48, 24, 9]


def test_split_in_three_parts():
    y = np.repeat([0, 1, 2], [60, 30, 10])
    x = np.arange(100)[:, None]
    parts = datasets.train_validation_test_split(x, y, 0.2, 0.1, 0, stratify=y)
    assert [len(part) for part in parts] == [70, 20, 10] * 2
    assert sorted(np.concatenate(parts[:3])[:, 0]) == list(range(100))
    for features, targets in zip(parts[:3], parts[3:], strict=True):
        assert np.array_equal(y[features[:, 0]], targets)
    assert [np.bincount(part).tolist() for part in parts[3:]] == [
        [42, 21, 7],
        [12, 6, 2],
        [6, 3, 1],
    ]
    again = datasets.train_validation_test_split(x, y, 20, 10, 0, stratify=y)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    _, test, _, _ = datasets.train_test_split(x, y, 10, 0, stratify=y)
    assert np.array_equal(parts[2], test)
    plain = datasets.train_validation_test_split(x, y, random_state=1)
    assert [len(part) for part in plain[:3]] == [70, 15, 15]
    with pytest.raises(ValueError, match="validation_size"):
        datasets.train_validation_test_split(x, y, 1.5)
    with pytest.raises(ValueError, match="validation part"):
        datasets.train_validation_test_split(x, y, 100, 10)
    with pytest.raises(ValueError, match="as many rows"):
        datasets.train_validation_test_split(x, y[:9])


def test_split_keeps_the_last_row_of_a_class_for_training():
    y = np.array([0] * 9 + [1])
    for seed in range(20):
        _, _, y_train, _ = datasets.train_test_split(y[:, None], y, 0.5, seed, stratify=y)
        assert 1 in y_train


@pytest.mark.parametrize(
    ("size", "stratify", "message"),
    [
        (0.0, None, "share between 0 and 1"),
        (1.5, None, "share between 0 and 1"),
        (4, None, "cannot put 4 of 4 rows"),
        (0, None, "cannot put 0 of 4 rows"),
        (2, np.arange(4), "keep one of each of the 4 classes"),
        (2, np.zeros(3), r"stratify must have shape \(4,\)"),
    ],
)
def test_split_complaints(size, stratify, message):
    with pytest.raises(ValueError, match=message):
        datasets.train_test_split(np.zeros((4, 1)), np.zeros(4), size, 0, stratify=stratify)
    with pytest.raises(ValueError, match="as many rows"):
        datasets.train_test_split(np.zeros((4, 1)), np.zeros(3))


def test_split_takes_rows_of_frames_lists_and_sparse_matrices_by_their_place():
    pandas, sparse = pytest.importorskip("pandas"), pytest.importorskip("scipy.sparse")
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    expected = datasets.train_test_split(x, y, random_state=0)
    # Labels of rows that are not their places must not decide.
    frame, series = pandas.DataFrame(x), pandas.Series(y, index=y[::-1])
    for pair in ((frame, series), (x.tolist(), y.tolist()), (sparse.coo_array(x), y)):
        parts = datasets.train_test_split(*pair, random_state=0)
        dense = [part.toarray() if hasattr(part, "toarray") else part for part in parts]
        for part, wanted in zip(dense, expected, strict=True):
            np.testing.assert_array_equal(part, wanted)
    parts = datasets.train_validation_test_split(frame, series, random_state=0)
    for xs, ys in zip(parts[:3], parts[3:], strict=True):
        np.testing.assert_array_equal(xs.to_numpy()[:, 0], 2.0 * ys.to_numpy())


def test_split_sizes_are_numbers():
    with pytest.raises(TypeError, match="test_size must be a number, got '1'"):
        datasets.train_test_split(np.zeros((4, 1)), np.zeros(4), "1")


# Classes keep their identity
