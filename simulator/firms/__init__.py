"""NASA FIRMS active fires: https://firms.modaps.eosdis.nasa.gov/api/area/"""
