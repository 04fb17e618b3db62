"""What a project needs beside dbt-starrocks 1.12.2, as texts of dbt macros."""

from __future__ import annotations

# dbt-starrocks 1.12.2 has this macro with an argument less than dbt 1.11 calls it with, and leaves
# the temporary table of a snapshot behind.
SNAPSHOT_MACROS = """
{% macro snapshot_check_all_get_existing_columns(node, target_exists, check_cols_config) %}
  {% if not target_exists %}{{ return((false, [])) }}{% endif %}
  {% set target = adapter.get_relation(none, node.schema, node.alias) %}
  {% set wanted = check_cols_config %}
  {% if wanted == 'all' %}{% set wanted = get_columns_in_query(node['compiled_code']) %}{% endif %}
  {% set stored = adapter.get_columns_in_relation(target) | map(attribute='name') | list %}
  {% set known = [] %}
  {% for column in wanted if column in stored %}{% do known.append(adapter.quote(column)) %}
  {% endfor %}
  {{ return((known | length < wanted | length, known)) }}
{% endmacro %}
{% macro post_snapshot(staging_relation) %}
  {% do adapter.drop_relation(staging_relation) %}
{% endmacro %}
"""
# The adapter's macro closes changed rows only; what was deleted in the source stays open.
HARD_DELETES = """
{% macro starrocks__snapshot_merge_sql_update(target, source, insert_cols) %}
  update {{ target }}, (select dbt_scd_id, dbt_change_type, dbt_valid_to from {{ source }}) as s
  set {{ target }}.dbt_valid_to = s.dbt_valid_to
  where s.dbt_scd_id = {{ target }}.dbt_scd_id
    and s.dbt_change_type in ('update', 'delete') and {{ target }}.dbt_valid_to is null
{% endmacro %}
"""
# Snapshots update rows, which StarRocks does in PRIMARY KEY tables only.
SNAPSHOT_CONFIG = {
    "+table_type": "PRIMARY",
    "+keys": ["dbt_scd_id"],
    "+distributed_by": ["dbt_scd_id"],
}
SEED_CONFIG = {"+table_type": "PRIMARY", "+keys": ["id"], "+distributed_by": ["id"]}
# The adapter has no macros for comments: what a project writes to have them.
COMMENT_MACROS = """
{% macro starrocks__alter_relation_comment(relation, comment) %}
  alter table {{ relation }} comment = '{{ comment | replace("'", "''") }}'
{% endmacro %}
{% macro starrocks__alter_column_comment(relation, columns) %}
  {% set stored = adapter.get_columns_in_relation(relation) %}
  {% for column in stored if column.name in columns %}
    {% do run_query("alter table " ~ relation ~ " modify column " ~ adapter.quote(column.name)
      ~ " " ~ column.data_type ~ " comment '"
      ~ (columns[column.name]['description'] | replace("'", "''")) ~ "'") %}
  {% endfor %}
{% endmacro %}
"""
