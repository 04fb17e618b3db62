{{
    config(
        keys=['organization', 'collection', 'format', 'counted_on'],
        partition_type='Expr',
        partition_by=["date_trunc('month', counted_on)"],
        distributed_by=['organization'],
        buckets=1
    )
}}
select
    organization,
    collection,
    format,
    cast(counted_from as date) as counted_on,
    sum(requests) as requests,
    sum(case when status_class = '4xx' then requests else 0 end) as requests_refused,
    sum(case when status_class = '5xx' then requests else 0 end) as requests_failed,
    sum(rows_sent) as rows_sent,
    sum(bytes_sent) as bytes_sent,
    sum(seconds_total) / sum(requests) as seconds_mean,
    max(seconds_max) as seconds_max,
    max(accepted_at) as accepted_at,
    max(case when is_simulated then 1 else 0 end) = 1 as is_simulated
from {{ ref('stg_api__usage') }}
group by organization, collection, format, cast(counted_from as date)
