"""NWS alerts: https://www.weather.gov/documentation/services-web-api"""
