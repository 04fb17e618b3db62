"""OpenFEMA: https://www.fema.gov/about/openfema/api"""
