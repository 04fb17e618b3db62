{{ weather_station_daily_recount() }}
