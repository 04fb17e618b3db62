"""Great Expectations over SQL, as the platform's checks use it; it takes long to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.starrocks.running import PASSWORD, RunningServer, environment

SCRIPT = """
import datetime
import sys
import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.data_context.types.base import ProgressBarsConfig
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = ProgressBarsConfig(globally=False)
source = context.data_sources.add_sql("embedded", connection_string=sys.argv[1])
asset = source.add_table_asset("readings", table_name="readings")
batch = asset.add_batch_definition_whole_table("all").get_batch()
good = [
    gxe.ExpectTableColumnsToMatchOrderedList(column_list=["k", "v", "s", "at_", "big"]),
    gxe.ExpectColumnToExist(column="at_"),
    gxe.ExpectColumnValuesToBeOfType(column="v", type_="DOUBLE"),
    gxe.ExpectColumnValuesToNotBeNull(column="k"),
    gxe.ExpectColumnValuesToBeNull(column="big"),
    gxe.ExpectColumnValuesToBeUnique(column="k"),
    gxe.ExpectCompoundColumnsToBeUnique(column_list=["k", "s"]),
    gxe.ExpectColumnValuesToBeBetween(column="v", min_value=0, max_value=10),
    gxe.ExpectColumnValuesToBeInSet(column="s", value_set=["a", "b"]),
    gxe.ExpectColumnDistinctValuesToEqualSet(column="s", value_set=["a", "b"]),
    gxe.ExpectColumnValuesToMatchRegex(column="s", regex="^[ab]$"),
    gxe.ExpectColumnValuesToNotMatchRegex(column="s", regex="[0-9]"),
    gxe.ExpectColumnValueLengthsToEqual(column="s", value=1),
    gxe.ExpectColumnMeanToBeBetween(column="v", min_value=4.5, max_value=4.5),
    gxe.ExpectColumnSumToBeBetween(column="v", min_value=13.5, max_value=13.5),
    gxe.ExpectColumnMedianToBeBetween(column="v", min_value=3, max_value=3),
    gxe.ExpectColumnStdevToBeBetween(column="v", min_value=3.9, max_value=4.0),
    gxe.ExpectColumnUniqueValueCountToBeBetween(column="s", min_value=2, max_value=2),
    gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="v", column_B="k", or_equal=True),
    gxe.ExpectColumnMaxToBeBetween(
        column="at_",
        min_value=datetime.datetime(2026, 11, 21, 9),
        max_value=datetime.datetime(2026, 11, 21, 10),
    ),
    gxe.UnexpectedRowsExpectation(unexpected_rows_query="SELECT * FROM {batch} WHERE v < k"),
    gxe.ExpectTableRowCountToEqual(value=3),
]
for each in good:
    found = batch.validate(each)
    assert found.success, found
bad = batch.validate(
    gxe.ExpectColumnValuesToBeInSet(column="s", value_set=["a"]), result_format="COMPLETE"
)
assert not bad.success
assert bad.result["unexpected_list"] == ["b"], bad.result
assert round(bad.result["unexpected_percent"], 6) == 33.333333, bad.result
for each in (
    gxe.ExpectColumnMaxToBeBetween(column="v", max_value=2),
    gxe.ExpectColumnValuesToMatchRegex(column="s", regex="^a$"),
    gxe.ExpectColumnValuesToNotBeNull(column="big"),
    gxe.UnexpectedRowsExpectation(unexpected_rows_query="SELECT * FROM {batch} WHERE v > 2"),
):
    found = batch.validate(each)
    assert not found.success, found
    assert not found.exception_info.get("raised_exception"), found
print("validated")
"""


@pytest.mark.long
@pytest.mark.timeout(400)
def test_great_expectations_validates_over_sql(server: RunningServer) -> None:
    server.query(
        "CREATE TABLE d.readings (k INT NOT NULL, v DOUBLE, s STRING, at_ DATETIME, big LARGEINT) "
        "PRIMARY KEY (k)"
    )
    server.query(
        "INSERT INTO d.readings (k, v, s, at_) VALUES (1, 1.5, 'a', '2026-11-20 09:00:00'), "
        "(2, 3, 'b', '2026-11-21 09:14:10'), (3, 9, 'a', NULL)"
    )
    password = PASSWORD.replace(" ", "%20")
    url = f"mysql+pymysql://root:{password}@127.0.0.1:{server.mysql_port}/d"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, url],
        env={**environment(), "GX_ANALYTICS_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "validated" in done.stdout
