{{ alerts_hourly_recount() }}
