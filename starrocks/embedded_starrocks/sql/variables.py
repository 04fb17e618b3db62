"""System variables: which there are, what they may be set to, and which change anything here.

Most of StarRocks' variables say how a cluster works: here they are checked, kept and shown, and
change nothing. One that would change an answer either does so or takes its default only.
Source: StarRocks 3.5 documentation, "System variables".
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from embedded_starrocks import VERSION
from embedded_starrocks.errors import SqlError, unsupported

Value = str | int | None
# What version() gives, and what current_version() gives: StarRocks' release whose SQL is followed.
MYSQL_VERSION = "8.0.33"
STARROCKS_VERSION = "3.5.0"
UNLIMITED_ROWS = 9223372036854775807
_COMMENT = "embedded StarRocks (not StarRocks: DuckDB behind StarRocks' protocols)"

_TRUE = """
    cbo_decimal_cast_string_strict
    cbo_enable_low_cardinality_optimize cbo_json_v2_dict_opt cbo_json_v2_rewrite
    enable_cbo_based_mv_rewrite enable_connector_adaptive_io_tasks enable_datacache_io_adaptor
    enable_datacache_sharing enable_file_metacache enable_force_rule_based_mv_rewrite
    enable_gin_filter enable_global_runtime_filter enable_group_execution enable_insert_strict
    enable_lake_tablet_internal_parallel enable_materialized_view_plan_cache
    enable_materialized_view_rewrite enable_materialized_view_text_match_rewrite
    enable_materialized_view_union_rewrite enable_metadata_profile enable_parallel_merge
    enable_parquet_reader_bloom_filter enable_parquet_reader_page_index enable_partition_hash_join
    enable_per_bucket_optimize enable_pipeline_engine enable_plan_advisor
    enable_query_trigger_analyze enable_rule_based_materialized_view_rewrite enable_scan_datacache
    enable_strict_order_by enable_sync_materialized_view_rewrite enable_tablet_internal_parallel
    enable_topn_runtime_filter hash_join_push_down_right_table interpolate_passthrough
    low_cardinality_optimize_on_lake new_planner_agg_stage_auto rewrite_count_distinct_to_bitmap_hll
    spill_enable_compaction vectorized_engine_enable
"""
_FALSE = """
    activate_all_roles_on_login cbo_prune_subfield disable_colocate_join
    disable_streaming_preaggregations dynamic_overwrite enable_adaptive_sink_dop
    enable_datacache_async_populate_mode enable_distinct_column_bucketization
    enable_iceberg_column_statistics enable_iceberg_metadata_cache
    enable_insert_partial_update enable_group_level_query_queue enable_materialized_view_for_insert
    enable_materialized_view_agg_pushdown_rewrite enable_multicolumn_global_runtime_filter
    enable_phased_scheduler enable_plan_analyzer enable_profile enable_async_profile
    enable_query_cache enable_query_queue_load enable_query_queue_select
    enable_query_queue_statistic enable_query_tablet_affinity enable_short_circuit
    enable_sort_aggregate enable_spill enable_spill_to_remote_storage enable_spm_rewrite
    enable_strict_type enable_view_based_mv_rewrite enable_wait_dependent_event
    enable_write_hive_external_table event_scheduler force_streaming_aggregate forward_to_leader
    forward_to_master lower_upper_support_utf8 orc_use_column_names prefer_compute_node
    runtime_filter_on_exchange_node spill_enable_direct_io use_v2_rollup
"""
_NUMBERS = """
    auto_increment_increment=1 autocommit=1 batch_size=4096
    cbo_materialized_view_rewrite_related_mvs_limit=64 chunk_size=4096
    connector_io_tasks_per_scan_operator=16 connector_sink_target_max_file_size=1073741824
    count_distinct_column_buckets=1024 datacache_sharing_work_period=600 div_precision_increment=4
    exec_mem_limit=2147483648 foreign_key_checks=0 group_concat_max_len=1024
    group_execution_max_groups=128 group_execution_min_scan_rows=5000000
    historical_nodes_min_update_interval=600 insert_timeout=14400 interactive_timeout=3600
    io_tasks_per_scan_operator=4 jit_level=1 load_mem_limit=0 log_rejected_record_num=0
    lower_case_table_names=0 materialized_view_subuqery_text_match_max_count=4
    max_allowed_packet=33554432 max_pushdown_conditions_per_column=-1 max_scan_key_num=-1
    max_unknown_string_meta_length=64 metadata_collect_query_timeout=60
    nested_mv_rewrite_max_level=3 net_buffer_length=16384 net_read_timeout=60 net_write_timeout=60
    new_planner_optimize_timeout=3000 optimizer_materialized_view_timelimit=1000
    parallel_exchange_instance_num=-1 parallel_fragment_exec_instance_num=1 performance_schema=0
    phased_scheduler_max_concurrency=2 pipeline_dop=0 pipeline_profile_level=1 pipeline_sink_dop=0
    query_cache_agg_cardinality_limit=5000000 query_cache_entry_max_bytes=4194304
    query_cache_entry_max_rows=409600 query_cache_size=1048576 query_cache_type=0
    query_mem_limit=0 query_queue_concurrency_limit=0 query_queue_cpu_used_permille_limit=0
    query_queue_fresh_resource_usage_interval_ms=5000 query_queue_max_queued_queries=1024
    query_queue_pending_timeout_second=300 query_timeout=300 range_pruner_max_predicate=100
    runtime_join_filter_push_down_limit=1024000 runtime_profile_report_interval=10
    scan_olap_partition_num_limit=0 sql_auto_is_null=0 sql_notes=1 sql_safe_updates=0
    sql_select_limit=9223372036854775807 statistic_collect_parallel=1 transaction_read_only=0
    tx_read_only=0 unique_checks=1 use_compute_nodes=-1 wait_timeout=28800
"""
_TEXTS = {
    "big_query_profile_threshold": "0s",
    "catalog": "default_catalog",
    "cbo_eq_base_type": "DECIMAL",
    "character_set_client": "utf8",
    "character_set_connection": "utf8",
    "character_set_database": "utf8",
    "character_set_results": "utf8",
    "character_set_server": "utf8",
    "collation_connection": "utf8_general_ci",
    "collation_database": "utf8_general_ci",
    "collation_server": "utf8_general_ci",
    "connector_sink_compression_codec": "uncompressed",
    "custom_query_id": "",
    "default_rowset_type": "alpha",
    "default_storage_engine": "StarRocks",
    "default_table_compression": "lz4_frame",
    "default_week_format": "0",
    "follower_query_forward_mode": "default",
    "have_query_cache": "NO",
    "init_connect": "",
    "insert_max_filter_ratio": "0.0",
    "language": "/starrocks/share/english/",
    "license": "Apache License 2.0",
    "materialized_view_rewrite_mode": "default",
    "parallel_merge_late_materialization_mode": "AUTO",
    "partial_update_mode": "auto",
    "plan_mode": "auto",
    "populate_datacache_mode": "auto",
    "query_excluding_mv_names": "",
    "query_including_mv_names": "",
    "query_queue_mem_used_pct_limit": "0.0",
    "resource_group": "",
    "run_mode": "shared_nothing",
    "spill_mode": "auto",
    "spill_storage_volume": "",
    "sql_dialect": "StarRocks",
    "sql_mode": "ONLY_FULL_GROUP_BY",
    "storage_engine": "olap",
    "streaming_preaggregation_mode": "auto",
    "system_time_zone": "UTC",
    "tablet_internal_parallel_mode": "auto",
    "time_zone": "UTC",
    "trace_log_mode": "command",
    "transaction_isolation": "READ-COMMITTED",
    "tx_isolation": "READ-COMMITTED",
    "version": MYSQL_VERSION,
    "version_comment": "",
    "warehouse": "default_warehouse",
}
_CHOICES = {
    "follower_query_forward_mode": ("default", "leader", "follower"),
    "materialized_view_rewrite_mode": (
        "disable", "default", "default_or_error", "force", "force_or_error",
    ),
    "parallel_merge_late_materialization_mode": ("auto", "always", "never"),
    "partial_update_mode": ("auto", "column"),
    "plan_mode": ("auto", "local", "distributed"),
    "populate_datacache_mode": ("auto", "always", "never"),
    "spill_mode": ("auto", "force"),
    "streaming_preaggregation_mode": ("auto", "force_preaggregation", "force_streaming"),
    "tablet_internal_parallel_mode": ("auto", "force_split"),
    "trace_log_mode": ("command", "file"),
}  # fmt: skip
_RANGES = {
    "query_timeout": (1, 259_200),
    "insert_timeout": (1, 2_147_483_647),
    "group_concat_max_len": (4, UNLIMITED_ROWS),
    "sql_select_limit": (0, UNLIMITED_ROWS),
    "wait_timeout": (1, 2_147_483_647),
    "autocommit": (0, 1),
}
_GLOBAL_ONLY = """
    activate_all_roles_on_login character_set_database default_rowset_type
    enable_group_level_query_queue enable_query_queue_load enable_query_queue_select
    enable_query_queue_statistic init_connect language license lower_case_table_names
    max_unknown_string_meta_length performance_schema query_cache_size
    query_queue_concurrency_limit query_queue_cpu_used_permille_limit
    query_queue_fresh_resource_usage_interval_ms query_queue_max_queued_queries
    query_queue_mem_used_pct_limit query_queue_pending_timeout_second
"""
_READ_ONLY = frozenset(("license", "run_mode", "system_time_zone", "version", "version_comment"))
# They change answers in StarRocks; here only the default is done.
_ANSWERS = {
    "cbo_decimal_cast_string_strict": ("true",),
    "cbo_eq_base_type": ("decimal",),
    "catalog": ("default_catalog",),
    "default_week_format": ("0",),
    "enable_insert_partial_update": ("false",),
    "lower_upper_support_utf8": ("false",),
    "sql_dialect": ("starrocks",),
    "time_zone": ("utc", "gmt", "+00:00", "etc/utc", "system"),
}
_SQL_MODES = """
    ansi_quotes pipes_as_concat allow_throw_exception forbid_invalid_date mode_double_literal
    double_literal sort_nulls_last error_if_overflow group_concat_legacy ansi
"""
_BOOLEANS = {"true": "true", "on": "true", "1": "true", "false": "false", "off": "false",
             "0": "false"}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Variable:
    """One variable: its kind (boolean, number, text) and default."""

    name: str
    kind: str
    default: Value


@functools.cache
def known_variables() -> Mapping[str, Variable]:
    """All variables by name."""
    found = {name: Variable(name, "boolean", "true") for name in _TRUE.split()}
    found |= {name: Variable(name, "boolean", "false") for name in _FALSE.split()}
    for item in _NUMBERS.split():
        name, _, number = item.partition("=")
        found[name] = Variable(name, "number", int(number))
    return found | {name: Variable(name, "text", text) for name, text in _TEXTS.items()}


def version_comment(banner: str) -> str:
    return f"{_COMMENT} {VERSION}" + (f" - {banner}" if banner else "")


def default_variables(banner: str) -> dict[str, Value]:
    """Every variable with its default."""
    found = {name: variable.default for name, variable in known_variables().items()}
    return {**found, "version_comment": version_comment(banner)}


def unknown_variable(name: str) -> SqlError:
    return SqlError(1193, "HY000", f"Unknown system variable '{name}'")


def find_variable(name: str) -> Variable:
    """Raises 1193."""
    found = known_variables().get(name.lower())
    if found is None:
        raise unknown_variable(name)
    return found


def checked_value(name: str, value: Value, *, is_global: bool = False) -> Value:
    """The value to keep. Raises 1193, 1229, 1231, 1232 or 1238, or refuses what is not done."""
    variable = find_variable(name)
    name = variable.name
    if name in _READ_ONLY:
        raise SqlError(1238, "HY000", f"Variable '{name}' is a read only variable")
    if name in _GLOBAL_ONLY.split() and not is_global:
        raise SqlError(
            1229,
            "HY000",
            f"Variable '{name}' is a GLOBAL variable and should be set with SET GLOBAL",
        )
    if value is None:
        # Clients set character_set_results to NULL; everything else may be reset so.
        return None if name.startswith("character_set") else variable.default
    kept = _typed(variable, value)
    if name == "sql_mode":
        _check_sql_mode(str(kept))
    allowed = _ANSWERS.get(name)
    if allowed is not None and str(kept).lower() not in allowed:
        raise unsupported(f"SET {name} = '{value}'; only '{variable.default}' is done")
    return kept


def _typed(variable: Variable, value: Value) -> Value:
    text = str(value)
    if variable.kind == "boolean":
        kept = _BOOLEANS.get(text.lower())
        if kept is None:
            raise _wrong_value(variable, text)
        return kept
    if variable.kind == "number":
        return _number(variable, text)
    choices = _CHOICES.get(variable.name)
    if choices is not None and text.lower() not in choices:
        raise _wrong_value(variable, text)
    if variable.name == "insert_max_filter_ratio" and not _is_ratio(text):
        raise _wrong_value(variable, text)
    return text


def _number(variable: Variable, text: str) -> int:
    text = _BOOLEANS.get(text.lower(), text) if variable.default in (0, 1) else text
    text = {"true": "1", "false": "0"}.get(text, text)
    try:
        number = int(text)
    except ValueError:
        raise SqlError(
            1232, "42000", f"Incorrect argument type to variable '{variable.name}': {text[:60]}"
        ) from None
    low, high = _RANGES.get(variable.name, (-(2**63), 2**64))
    if not low <= number <= high:
        raise _wrong_value(variable, text)
    return number


def _wrong_value(variable: Variable, text: str) -> SqlError:
    return SqlError(
        1231, "42000", f"Variable '{variable.name}' can't be set to the value of '{text[:60]}'"
    )


def _is_ratio(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _check_sql_mode(text: str) -> None:
    for mode in text.split(","):
        if mode.strip().lower() in _SQL_MODES.split():
            raise unsupported(f"sql_mode {mode.strip()}")
