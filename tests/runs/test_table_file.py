"""A table is looked at before it is read: other columns, kinds and gaps are named."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data_file import DataError, MissingError
from bench.runs.table_file import check_table

KINDS = {"session": "int", "text": "text", "good": "figure"}


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"text": ["a"]}, "session: there is no such column"),
        ({"session": ["1"]}, "session: holds string and not whole numbers"),
        ({"session": [1.5]}, "session: holds double and not whole numbers"),
        ({"session": [1], "text": [b"a"]}, "text: holds binary and not text"),
        ({"session": [1], "good": [[1]]}, "good: holds list"),
    ],
)
def test_a_column_that_is_missing_or_of_another_kind_is_named(tmp_path, columns, why):
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=why):
        check_table(tmp_path / "x.parquet", KINDS, ["session"], exact=["session"])


def test_what_is_no_table_is_said_to_be_none(tmp_path):
    path = tmp_path / "x.parquet"
    with pytest.raises(MissingError):
        check_table(path, KINDS)
    for text in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        path.write_bytes(text)
        with pytest.raises(DataError, match="cannot be read"):
            check_table(path, KINDS)
    with pytest.raises(DataError, match="no regular file"):
        check_table(tmp_path, KINDS)


def test_columns_in_which_nothing_stands_and_tables_without_rows_are_taken(tmp_path):
    path = tmp_path / "x.parquet"
    for table in (
        pa.table({"session": [1], "text": pa.array([None], pa.float64())}),
        pa.table({"session": pa.array([], pa.int64()), "text": pa.array([], pa.float64())}),
    ):
        pq.write_table(table, path)
        check_table(path, KINDS, ["session"])
