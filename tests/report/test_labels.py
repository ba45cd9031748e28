"""True classes, from tables and archives, by name and by number."""

import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sciexplain.errors import DataError
from sciexplain.report.labels import own_labels, read_labels

IDS = ["a", "007", "b", "missing"]
NUMBERS = np.array([0, 2, 3, 9])


def _of(path, classes=None):
    return read_labels(path, classes).of(NUMBERS, IDS).tolist()


def _csv(folder, text):
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_by_id_in_any_order(tmp_path):
    assert _of(_csv(tmp_path, "label,id\n2,b\n1,007\n0,a\n5,other\n")) == [0, 1, 2, -1]


def test_csv_with_names_of_classes(tmp_path):
    path = _csv(tmp_path, "id,label\na,zebra\n007,cat\nb,\n")
    assert _of(path, ["cat", "dog", "zebra"]) == [2, 0, -1, -1]


def test_names_come_before_numbers(tmp_path):
    """Digits are often named by themselves, in an order of their own."""
    assert _of(_csv(tmp_path, "id,label\na,1\n007,0\n"), ["1", "0"]) == [0, 1, -1, -1]


def test_parquet_of_numbers(tmp_path):
    path = tmp_path / "labels.parquet"
    pa.parquet.write_table(pa.table({"id": ["a", "b"], "label": [3.0, None]}), path)
    assert _of(path) == [3, -1, -1, -1]


def test_npz_in_the_order_of_attempts(tmp_path):
    path = tmp_path / "labels.npz"
    np.savez(path, images=np.zeros((4, 2, 2)), labels=np.array([4, 5, 6, 7], np.uint8))
    assert _of(path) == [4, 6, 7, -1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,class\na,1\n", r"found the columns id, class; expected 'label'"),
        ("id,label\na,scooter\n", r"found the label 'scooter'; expected class indices; .*--classes"),
        ("id,label\na,0.5\n", r"found the label '0.5'"),
        ("id,label\na\n", r"cannot be read as a table"),
    ],
)
def test_what_is_no_label_is_told(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        _of(_csv(tmp_path, text))


def test_labels_of_an_archive_that_are_no_array(tmp_path):
    path = tmp_path / "labels.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels", b"cat")
    with pytest.raises(DataError, match=r"expected \(N,\)"):
        read_labels(path, None)


def test_npz_without_labels_is_told_or_has_none_of_its_own(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, images=np.zeros((4, 2, 2)))
    with pytest.raises(DataError, match="found no array 'labels'"):
        read_labels(path, None)
    assert own_labels(path, None) is None
    assert own_labels(tmp_path, None) is None  # a folder of pictures


@pytest.mark.parametrize("labels", [np.eye(4), np.array(["cat", "dog"]), np.array([{}], object)])
def test_labels_of_another_kind_are_not_taken_unasked(tmp_path, labels):
    path = tmp_path / "data.npz"
    np.savez(path, labels=labels)
    assert own_labels(path, None) is None
    with pytest.raises(DataError):
        read_labels(path, None)


def test_an_archive_that_is_none_is_told(tmp_path):
    path = tmp_path / "data.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="cannot be read as NPZ"):
        read_labels(path, None)
