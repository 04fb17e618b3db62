{{ disaster_alerts_daily_recount() }}
