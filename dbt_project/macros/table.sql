{#- dbt-starrocks drops a table before it builds the new one, so that readers find none in between.
    This builds beside it and swaps, in one statement of the server. -#}
{% materialization table, adapter='starrocks' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set sql = model['compiled_code'] -%}

    {{ run_hooks(pre_hooks) }}

    {%- if existing_relation is not none and not existing_relation.is_table -%}
        {{ adapter.drop_relation(existing_relation) }}
        {%- set existing_relation = none -%}
    {%- endif -%}

    {%- if existing_relation is none -%}
        {% call statement('main') -%}
            {{ starrocks__create_table_as(false, target_relation, sql) }}
        {%- endcall %}
    {%- else -%}
        {%- set new_relation = make_intermediate_relation(target_relation).incorporate(type='table') -%}
        {#- Left over when an earlier build was killed. -#}
        {{ adapter.drop_relation(new_relation) }}
        {% call statement('main') -%}
            {{ starrocks__create_table_as(false, new_relation, sql) }}
        {%- endcall %}
        {{ starrocks__exchange_relation(target_relation, new_relation) }}
        {{ adapter.drop_relation(new_relation) }}
    {%- endif -%}

    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
