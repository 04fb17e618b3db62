{{
    config(
        keys=['disaster_number', 'place_code', 'program'],
        distributed_by=['disaster_number'],
        buckets=1
    )
}}
with programs as (
    select 'IH' as program
    union all
    select 'IA' as program
    union all
    select 'PA' as program
    union all
    select 'HM' as program
    union all
    select 'NONE' as program
)

select
    areas.disaster_number,
    areas.place_code,
    programs.program,
    areas.declaration_id,
    areas.declaration_type,
    areas.declared_on,
    areas.fiscal_year,
    areas.incident_type,
    areas.title,
    case
        when areas.closed_out_on is not null then 'closed_out'
        when areas.incident_ended_on is not null then 'incident_ended'
        else 'incident_open'
    end as declaration_status,
    areas.state,
    states.state_name,
    areas.state_fips,
    areas.county_fips,
    counties.county_name,
    areas.designated_area,
    case
        when areas.county_fips is not null then 'county'
        when areas.place_code = '0' then 'statewide'
        else 'other'
    end as area_type,
    areas.region,
    areas.incident_id,
    areas.incident_began_on,
    areas.incident_ended_on,
    datediff(areas.incident_ended_on, areas.incident_began_on) + 1 as incident_days,
    areas.closed_out_on,
    areas.last_ia_filing_on,
    areas.is_tribal_request,
    areas.refreshed_at,
    areas.accepted_at,
    areas.is_simulated
from {{ ref('stg_fema__disaster_declarations') }} as areas
inner join programs
    on
        (programs.program = 'IH' and areas.is_ih_declared)
        or (programs.program = 'IA' and areas.is_ia_declared)
        or (programs.program = 'PA' and areas.is_pa_declared)
        or (programs.program = 'HM' and areas.is_hm_declared)
        or (
            programs.program = 'NONE'
            and not (
                coalesce(areas.is_ih_declared, false)
                or coalesce(areas.is_ia_declared, false)
                or coalesce(areas.is_pa_declared, false)
                or coalesce(areas.is_hm_declared, false)
            )
        )
left join {{ ref('geo_states') }} as states
    on areas.state = states.state
left join {{ ref('dim_county') }} as counties
    on areas.county_fips = counties.county_fips
