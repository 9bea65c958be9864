"""Readers give the numbers of the file, or say where in the file they cannot."""

import gzip

import numpy as np
import pytest
from data_files import TABLE, idx, write, write_idx_folder
from fastmlp import datasets

# Digits


def test_digits_are_complete():
    data = datasets.load_digits()
    assert data.X.shape == (1797, 64)
    assert data.X.dtype == np.float32
    assert data.X.min() == 0
    assert data.X.max() == 16
    assert np.bincount(data.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert data.target_names == tuple("0123456789")
    assert len(data.feature_names) == 64
    assert data.task == "classification"
    assert datasets.load_digits(dtype=np.float64).X.dtype == np.float64


def test_digits_equal_those_of_scikit_learn():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    theirs, ours = sklearn_datasets.load_digits(), datasets.load_digits()
    assert np.array_equal(ours.X, theirs.data)
    assert np.array_equal(ours.y, theirs.target)


# IDX


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_folder(tmp_path, dotted, zipped):
    arrays = write_idx_folder(tmp_path, dotted=dotted, zipped=zipped)
    (x, y), (x_test, y_test) = datasets.load_idx(tmp_path)
    assert x.shape == (7, 20)
    assert x.dtype == np.float32
    assert np.array_equal(np.round(x * 255).reshape(7, 4, 5), arrays["train-images-idx3-ubyte"])
    assert x.max() <= 1
    assert np.array_equal(y, arrays["train-labels-idx1-ubyte"])
    assert y.dtype == np.int64
    assert x_test.shape == (3, 20)
    assert np.array_equal(y_test, arrays["t10k-labels-idx1-ubyte"])
    (raw, _), _ = datasets.load_idx(tmp_path, scale=False)
    assert raw.dtype == np.uint8
    assert np.array_equal(raw.ravel(), arrays["train-images-idx3-ubyte"].ravel())


def test_idx_missing_files_are_all_named(tmp_path):
    write_idx_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    (tmp_path / "train-images-idx3-ubyte").unlink()
    with pytest.raises(FileNotFoundError) as error:
        datasets.load_idx(tmp_path)
    message = str(error.value)
    assert "train-images-idx3-ubyte, t10k-labels-idx1-ubyte" in message
    assert "train-labels" not in message
    assert "downloads nothing" in message
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        datasets.load_idx(tmp_path / "nowhere")


GOOD = idx(np.arange(12).reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file.*nothing"),
        (b"PK\x03\x04" + GOOD, "no IDX file.*50 4b 03 04"),
        (idx(np.zeros((2, 2)), type_code=0x0D), "IDX type 0x0d"),
        (GOOD[:9], "within its header of 2 dimensions"),
        (GOOD[:-1], "announces 3 × 4 values, but holds 11"),
        (GOOD + b"\0", "announces 3 × 4 values, but holds 13"),
        (gzip.compress(GOOD, mtime=0)[:-9], "damaged or incomplete gzip"),
    ],
)
def test_idx_damage_is_named(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        datasets.read_idx(tmp_path / "file")


@pytest.mark.parametrize(
    ("stem", "array", "message"),
    [
        ("train-images-idx3-ubyte", np.zeros((7, 20)), "should have 3 dimensions"),
        ("train-labels-idx1-ubyte", np.zeros((7, 1)), "should have 1 dimension"),
        ("train-labels-idx1-ubyte", np.zeros(6), "7 images, but .* 6 labels"),
        ("t10k-images-idx3-ubyte", np.zeros((3, 5, 5)), "20 pixels, test images 25"),
    ],
)
def test_idx_files_must_fit_each_other(tmp_path, stem, array, message):
    write_idx_folder(tmp_path)
    (tmp_path / stem).write_bytes(idx(array))
    with pytest.raises(ValueError, match=message):
        datasets.load_idx(tmp_path)


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_numbers_and_categories(tmp_path, delimiter):
    data = datasets.load_table(write(tmp_path, TABLE.replace(",", delimiter)), "price")
    assert data.task == "regression"
    assert data.target_names == ("price",)
    assert data.y.tolist() == [10, 12.5, 11, 9]
    assert data.feature_names == ("size", "colour=blue", "colour=green", "colour=red")
    assert data.X.tolist() == [[1.5, 0, 0, 1], [2, 1, 0, 0], [-30, 0, 0, 1], [4, 0, 1, 0]]


def test_csv_text_target_is_classes_in_sorted_order(tmp_path):
    data = datasets.load_table(write(tmp_path, TABLE), "colour")
    assert data.task == "classification"
    assert data.target_names == ("blue", "green", "red")
    assert data.y.tolist() == [2, 0, 2, 1]
    assert data.y.dtype == np.int64


def test_csv_whole_numbers_are_classes_where_they_repeat(tmp_path):
    path = write(tmp_path, "x,y\n" + "".join(f"{i},{(9, 10, 2)[i % 3]}\n" for i in range(12)))
    data = datasets.load_table(path, "y")
    assert data.target_names == ("2", "9", "10")  # by value, not by spelling
    assert data.y.tolist() == [1, 2, 0] * 4
    assert datasets.load_table(path, "y", task="regression").y.tolist() == [9, 10, 2] * 4
    assert datasets.load_table(path, "x").task == "regression"
    assert datasets.load_table(path, "x", task="classification").y.tolist() == list(range(12))


def test_csv_two_targets(tmp_path):
    path = write(tmp_path, "a,b,c\n1,2,3\n4,5,6\n")
    data = datasets.load_table(path, ["c", "a"])
    assert data.y.tolist() == [[3, 1], [6, 4]]
    assert data.target_names == ("c", "a")
    with pytest.raises(ValueError, match="classification has one target column"):
        datasets.load_table(path, ["c", "a"], task="classification")


def test_csv_quotes_byte_order_mark_blank_lines_and_gzip(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress('\ufeff"a, b",y\r\n"1",2.5\r\n\r\n3,4.5\r\n'.encode()))
    data = datasets.load_table(path, "y")
    assert data.feature_names == ("a, b",)
    assert data.X.tolist() == [[1], [3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,y\n", "no rows"),
        ("a,a,y\n1,2,3\n", "names column 'a' twice"),
        (",a,y\n0,1,2\n", "column 1 has no name.*index=False"),
        ("1.5,2.5\n3,4\n", "first line holds numbers"),
        ("a,y\n1,2\n\n3\n", "line 4: expected 2 values.*found 1"),
        ("a,y\n1,2\n,3\n", "line 3, column 'a': the value is missing"),
        ("a,y\n1,2\nNA,3\n", "line 3, column 'a': the value is missing"),
        ("a,y\n1,2\n5,\n", "line 3, column 'y': the value is missing"),
        ("a,y\n1,2.5\n2,2\nx3,2\n", "line 4, column 'a': expected a number, found 'x3'"),
        ("a,y\n1,2\ninf,3\n", "line 3, column 'a': 'inf' is not finite"),
        ("a,y\n" + "".join(f"name{i},{i}.5\n" for i in range(65)), "'a' is text with 65 different"),
        ("a,z\n1,2\n", "no column 'y'; it has 'a', 'z'"),
        ("y\n1.5\n2.5\n", "no column besides the target"),
        ("a,y\n1,same\n2,same\n", "single value, 'same'"),
    ],
)
def test_csv_complaints_name_the_place(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        datasets.load_table(write(tmp_path, text), "y")


def test_csv_text_where_real_targets_were_asked_for(tmp_path):
    with pytest.raises(ValueError, match="line 2, column 'colour': expected a number, found 'red'"):
        datasets.load_table(write(tmp_path, TABLE), "colour", task="regression")


def test_csv_that_is_not_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,y\n1,2\n\xff,3\n")
    with pytest.raises(ValueError, match="line 3: this is not UTF-8"):
        datasets.load_table(path, "y")
    path.write_bytes(gzip.compress(TABLE.encode())[:-9])
    with pytest.raises(ValueError, match="damaged or incomplete gzip"):
        datasets.load_table(path, "price")


def test_table_of_unknown_kind_or_missing(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.csv"):
        datasets.load_table(tmp_path / "table.docx", "y")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        datasets.load_table(tmp_path / "table.csv", "y")


def test_features_are_encoded_like_the_table_before(tmp_path):
    columns = datasets.load_table(write(tmp_path, TABLE), "price").columns
    # Other order, other columns, fewer categories, no target.
    path = write(tmp_path, "id,colour,size\n7,green,0.5\n8,blue,1\n", "new.csv")
    x = datasets.load_features(path, columns)
    assert x.tolist() == [[0.5, 0, 1, 0], [1, 1, 0, 0]]
    path = write(tmp_path, "colour,size\ngreen,1\npink,1\n", "new.csv")
    with pytest.raises(ValueError, match="line 3, column 'colour': 'pink' is none of the known"):
        datasets.load_features(path, columns)
    with pytest.raises(ValueError, match="no column 'size'"):
        datasets.load_features(write(tmp_path, "colour\nred\n", "new.csv"), columns)


# NPZ


def test_npz(tmp_path):
    path = tmp_path / "table.npz"
    x = np.arange(12.0).reshape(6, 2)
    np.savez(
        path,
        X=x,
        labels=np.array([3, 1, 3, 1, 1, 3]),
        names=np.array(list("ababab")),
        flags=np.array([True, False] * 3),
        real=np.linspace(0, 1, 6),
        two=np.ones((6, 2)),
    )
    labels = datasets.load_table(path, "labels")
    assert labels.target_names == ("1", "3")
    assert labels.y.tolist() == [1, 0, 1, 0, 0, 1]
    assert np.array_equal(labels.X, x)
    assert datasets.load_table(path, "names").target_names == ("a", "b")
    assert datasets.load_table(path, "flags").target_names == ("False", "True")
    assert datasets.load_table(path, "real").task == "regression"
    assert datasets.load_table(path, "two").target_names == ("two0", "two1")
    assert np.array_equal(datasets.load_features(path, labels.columns), x)
    with pytest.raises(ValueError, match="no target array 'y'; besides X it has 'labels', 'names'"):
        datasets.load_table(path, "y")
    with pytest.raises(ValueError, match="X has 2 columns"):
        datasets.load_features(path, labels.columns[:1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros(3)}, "no array 'X'"),
        ({"X": np.zeros(3), "y": np.zeros(3)}, r"shape \(n, n_features\)"),
        ({"X": np.zeros((3, 1)), "y": np.zeros(2)}, "3 rows as X"),
        ({"X": np.array([[1.0], [np.nan]]), "y": np.zeros(2)}, r"X\[1, 0\] is missing"),
        ({"X": np.zeros((2, 1)), "y": np.array([1, np.inf])}, r"y\[1\] is missing or not finite"),
        ({"X": np.array([[None]]), "y": np.zeros(1)}, "no readable NPZ file of plain arrays"),
    ],
)
def test_npz_complaints(tmp_path, arrays, message):
    np.savez(tmp_path / "table.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        datasets.load_table(tmp_path / "table.npz", "y")


# Split


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (
            ["12345678901234567891", "12345678901234567890", "5"],
            ("5", "12345678901234567890", "12345678901234567891"),
        ),
        (["0.1234568", "0.1234567"], ("0.1234567", "0.1234568")),
        (["1e3", "1000.0", "7"], ("7", "1000")),
        (["0.50", "0.5", "1e-400"], ("1e-400", "0.5")),
        (["01", "1"], ("01", "1")),
        (["1_0", "10"], ("10", "1_0")),
        (["1e999999999", "2"], ("2", "1e999999999")),
    ],
)
def test_classes_are_compared_as_they_are_written(tmp_path, values, classes):
    text = "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values * 4))
    data = datasets.load_table(write(tmp_path, text), "y", task="classification")
    assert data.target_names == classes
    same = {"1000.0": "1000", "1e3": "1000", "0.50": "0.5"}
    assert [classes[k] for k in data.y[: len(values)]] == [same.get(v, v) for v in values]


@pytest.mark.parametrize("word", ["+nan", "-NaN", "NA", "<NA>", "NaT", "-", "#N/A", "None"])
def test_words_for_nothing_are_no_classes(tmp_path, word):
    text = "x,y\n" + "".join(f"{i},{(1, word, 2)[i % 3]}\n" for i in range(12))
    with pytest.raises(ValueError, match=r"line 3, column 'y': the value is missing"):
        datasets.load_table(write(tmp_path, text), "y", task="classification")
    assert len(datasets.load_table(tmp_path / "table.csv", "y", missing="drop").y) == 8
