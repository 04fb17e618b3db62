{{ disaster_alerts_hourly_recount() }}
