"""A stand-in for StarRocks: DuckDB behind StarRocks' own protocols.

It makes a laptop, CI and tests run what production runs: any StarRocks client connects to it. It is
not StarRocks, says so in `@@version_comment`, and refuses what it does not support.
"""

VERSION = "0.1.0"
