{{
    config(
        keys=['county_fips', 'valid_on'],
        partition_type='Expr',
        partition_by=["date_trunc('month', valid_on)"],
        distributed_by=['county_fips'],
        buckets=1
    )
}}
/*
    The Drought Monitor publishes each county and week in two ways: cumulative (statistics type 1,
    D0 holds all classes from D0 up) and categorical (type 2). Either is enough to know the other.
*/
with sides as (
    select
        county_fips,
        valid_on,
        max(county) as county_name,
        max(state) as state,
        max(valid_from) as valid_from,
        max(valid_to) as valid_to,
        max(none_percent) as none_percent,
        max(case when statistics_type = 1 then d0_percent end) as d0_up,
        max(case when statistics_type = 1 then d1_percent end) as d1_up,
        max(case when statistics_type = 1 then d2_percent end) as d2_up,
        max(case when statistics_type = 1 then d3_percent end) as d3_up,
        max(case when statistics_type = 1 then d4_percent end) as d4_up,
        max(case when statistics_type = 2 then d0_percent end) as d0_only,
        max(case when statistics_type = 2 then d1_percent end) as d1_only,
        max(case when statistics_type = 2 then d2_percent end) as d2_only,
        max(case when statistics_type = 2 then d3_percent end) as d3_only,
        max(case when statistics_type = 2 then d4_percent end) as d4_only,
        max(accepted_at) as accepted_at,
        max(case when is_simulated then 1 else 0 end) = 1 as is_simulated
    from {{ ref('stg_usda__drought_counties') }}
    group by county_fips, valid_on
),

weeks as (
    select
        county_fips,
        valid_on,
        county_name,
        state,
        valid_from,
        valid_to,
        none_percent,
        coalesce(d0_up, d0_only + d1_only + d2_only + d3_only + d4_only) as d0_up_percent,
        coalesce(d1_up, d1_only + d2_only + d3_only + d4_only) as d1_up_percent,
        coalesce(d2_up, d2_only + d3_only + d4_only) as d2_up_percent,
        coalesce(d3_up, d3_only + d4_only) as d3_up_percent,
        coalesce(d4_up, d4_only) as d4_up_percent,
        coalesce(d0_only, d0_up - d1_up) as d0_only_percent,
        coalesce(d1_only, d1_up - d2_up) as d1_only_percent,
        coalesce(d2_only, d2_up - d3_up) as d2_only_percent,
        coalesce(d3_only, d3_up - d4_up) as d3_only_percent,
        coalesce(d4_only, d4_up) as d4_only_percent,
        accepted_at,
        is_simulated
    from sides
),

classified as (
    select
        weeks.*,
        weeks.d0_up_percent
        + weeks.d1_up_percent
        + weeks.d2_up_percent
        + weeks.d3_up_percent
        + weeks.d4_up_percent
            as severity_coverage_index,
        case
            when weeks.d4_up_percent >= 1 then 4
            when weeks.d3_up_percent >= 1 then 3
            when weeks.d2_up_percent >= 1 then 2
            when weeks.d1_up_percent >= 1 then 1
            when weeks.d0_up_percent >= 1 then 0
            when weeks.d0_up_percent is not null then -1
        end as max_class
    from weeks
),

compared as (
    select
        classified.*,
        lag(classified.valid_on)
            over (partition by classified.county_fips order by classified.valid_on)
            as previous_valid_on,
        lag(classified.max_class)
            over (partition by classified.county_fips order by classified.valid_on)
            as last_max_class,
        lag(classified.severity_coverage_index) over (
            partition by classified.county_fips order by classified.valid_on
        ) as last_index
    from classified
)

select
    compared.county_fips,
    compared.valid_on,
    coalesce(counties.county_name, compared.county_name) as county_name,
    coalesce(counties.state, compared.state) as state,
    compared.valid_from,
    compared.valid_to,
    compared.none_percent,
    compared.d0_up_percent,
    compared.d1_up_percent,
    compared.d2_up_percent,
    compared.d3_up_percent,
    compared.d4_up_percent,
    compared.d0_only_percent,
    compared.d1_only_percent,
    compared.d2_only_percent,
    compared.d3_only_percent,
    compared.d4_only_percent,
    compared.max_class,
    compared.severity_coverage_index,
    -- A change is only a week's change when the week before is there.
    case
        when datediff(compared.valid_on, compared.previous_valid_on) = 7
            then compared.last_max_class
    end as previous_max_class,
    case
        when datediff(compared.valid_on, compared.previous_valid_on) = 7
            then compared.max_class - compared.last_max_class
    end as max_class_change,
    case
        when datediff(compared.valid_on, compared.previous_valid_on) = 7
            then compared.severity_coverage_index - compared.last_index
    end as severity_coverage_index_change,
    compared.accepted_at,
    compared.is_simulated
from compared
left join {{ ref('dim_county') }} as counties
    on compared.county_fips = counties.county_fips
