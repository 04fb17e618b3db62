"""Places: public-domain codes of counties and NWS zones, written down by hand."""
