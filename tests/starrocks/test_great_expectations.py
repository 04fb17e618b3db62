"""Great Expectations over SQL, as the platform's checks use it; it takes long to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.starrocks.running import PASSWORD, RunningServer, environment

SCRIPT = """
import sys
import great_expectations as gx
import great_expectations.expectations as gxe
context = gx.get_context(mode="ephemeral")
source = context.data_sources.add_sql("embedded", connection_string=sys.argv[1])
asset = source.add_table_asset("readings", table_name="readings")
batch = asset.add_batch_definition_whole_table("all").get_batch()
good = [
    gxe.ExpectColumnValuesToNotBeNull(column="k"),
    gxe.ExpectColumnValuesToBeUnique(column="k"),
    gxe.ExpectColumnValuesToBeBetween(column="v", min_value=0, max_value=10),
    gxe.ExpectColumnValuesToBeInSet(column="s", value_set=["a", "b"]),
    gxe.ExpectTableRowCountToEqual(value=3),
]
for each in good:
    assert batch.validate(each).success, each
assert not batch.validate(gxe.ExpectColumnMaxToBeBetween(column="v", max_value=2)).success
print("validated")
"""


@pytest.mark.long
@pytest.mark.timeout(400)
def test_great_expectations_validates_over_sql(server: RunningServer) -> None:
    server.query("CREATE TABLE d.readings (k INT NOT NULL, v DOUBLE, s STRING) PRIMARY KEY (k)")
    server.query("INSERT INTO d.readings VALUES (1, 1.5, 'a'), (2, 3, 'b'), (3, 9, 'a')")
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
