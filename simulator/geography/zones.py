"""NWS areas: UGC codes (zones COZ..., counties COC...) with names, SAME codes and offices.

Public domain (National Weather Service). Colorado's public zones are as complete as the simulation
needs; of other states only counties are used, whose UGC codes follow from FIPS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulator.geography.places import COLORADO, STATES, County

ZoneType = Literal["forecast", "county", "fire"]

_COLORADO_ZONES = """
001 GJT Lower Yampa River Basin: 081
002 GJT Central Yampa River Basin: 081 107
003 GJT Roan and Tavaputs Plateaus: 045 103
004 GJT Elkhead and Park Mountains: 107
006 GJT Grand Valley: 077
010 GJT Gore and Elk Mountains/Central Mountain Valleys: 037 051 097
011 GJT Central Gunnison and Uncompahgre River Basin: 029 085
018 GJT Northwest San Juan Mountains: 091 113
019 GJT Southwest San Juan Mountains: 067 111
021 GJT Four Corners/Upper Dolores River: 083 033
022 GJT Animas River Basin: 067
023 GJT San Juan River Basin: 007
030 BOU Jackson County Below 9000 Feet: 057
031 BOU West Jackson and West Grand Counties Above 9000 Feet: 049 057
032 BOU Grand and Summit Counties Below 9000 Feet: 049 117
035 BOU Larimer and Boulder Counties Between 6000 and 9000 Feet: 013 069
036 BOU Jefferson and West Douglas Counties Above 6000 Feet: 019 035 047 059 093
037 BOU Central and Southeast Park County: 093
038 BOU Larimer County Below 6000 Feet/Northwest Weld County: 069 123
039 BOU Boulder And Jefferson Counties Below 6000 Feet/West Broomfield County: 013 014 059
040 BOU North Douglas County Below 6000 Feet/Denver: 001 005 014 031 035
041 BOU Elbert/Central and East Douglas Counties Above 6000 Feet: 035 039
042 BOU Northeast Weld County: 123
043 BOU Central and South Weld County: 123
044 BOU Morgan County: 087
045 BOU Central and East Adams and Arapahoe Counties: 001 005
046 BOU North and Northeast Elbert County Below 6000 Feet/North Lincoln County: 039 073
047 BOU Southeast Elbert County Below 6000 Feet/South Lincoln County: 039 073
048 BOU Logan County: 075
049 BOU Washington County: 121
050 BOU Sedgwick County: 115
051 BOU Phillips County: 095
081 PUB Teller County/Rampart Range above 7500 Feet/Pike's Peak: 119 041
084 PUB Northern El Paso County/Monument Ridge/Rampart Range Below 7500 Feet: 041
085 PUB Colorado Springs Vicinity/Southern El Paso County: 041
086 PUB Pueblo Vicinity/Pueblo County Below 6300 Feet: 101
087 PUB Walsenburg Vicinity/Upper Huerfano River Basin Below 7500 Feet: 055
088 PUB Trinidad Vicinity/Western Las Animas County Below 7500 Feet: 071
089 PUB Crowley County: 025
090 GLD Yuma County: 125
091 GLD Kit Carson County: 063
092 GLD Cheyenne County: 017
093 PUB La Junta Vicinity/Otero County: 089
094 PUB Eastern Las Animas County: 071
095 PUB Western Kiowa County: 061
096 PUB Eastern Kiowa County: 061
097 PUB Las Animas Vicinity/Bent County: 011
098 PUB Lamar Vicinity/Prowers County: 099
099 PUB Springfield Vicinity/Baca County: 009
"""

_PARTS_OF_OFFICE = """
GJT 007 029 033 037 045 051 053 067 077 081 083 085 091 097 103 107 111 113
PUB 003 009 011 015 021 023 025 027 041 043 055 061 065 071 079 089 099 101 105 109 119
GLD 017 063 125
"""


@dataclass(frozen=True, slots=True)
class Office:
    """A forecast office; ``hours`` is its standard time's offset from UTC."""

    code: str
    name: str
    hours: int

    @property
    def zone(self) -> str:
        """Abbreviation of its standard time."""
        return {-5: "EST", -6: "CST", -7: "MST", -8: "PST"}[self.hours]


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """What one UGC code covers; each is made once, so that sets of them compare by identity."""

    ugc: str
    name: str
    same: tuple[str, ...]
    office: Office
    type: ZoneType
    latitude: float
    longitude: float

    @property
    def url(self) -> str:
        """The zone's address in the API."""
        return f"https://api.weather.gov/zones/{self.type}/{self.ugc}"


_OFFICES = {
    "AZ": Office("FGZ", "NWS Flagstaff AZ", -7),
    "CA": Office("LOX", "NWS Los Angeles/Oxnard CA", -8),
    "FL": Office("TBW", "NWS Tampa Bay Ruskin FL", -5),
    "IA": Office("DMX", "NWS Des Moines IA", -6),
    "KS": Office("DDC", "NWS Dodge City KS", -6),
    "LA": Office("LIX", "NWS New Orleans LA", -6),
    "MO": Office("SGF", "NWS Springfield MO", -6),
    "MT": Office("TFX", "NWS Great Falls MT", -7),
    "NE": Office("LBF", "NWS North Platte NE", -6),
    "NM": Office("ABQ", "NWS Albuquerque NM", -7),
    "NV": Office("LKN", "NWS Elko NV", -8),
    "OK": Office("OUN", "NWS Norman OK", -6),
    "SD": Office("UNR", "NWS Rapid City SD", -7),
    "TX": Office("LUB", "NWS Lubbock TX", -6),
    "UT": Office("SLC", "NWS Salt Lake City UT", -7),
    "WY": Office("CYS", "NWS Cheyenne WY", -7),
}
_COLORADO_OFFICES = {
    "BOU": Office("BOU", "NWS Denver CO", -7),
    "GJT": Office("GJT", "NWS Grand Junction CO", -7),
    "GLD": Office("GLD", "NWS Goodland KS", -6),
    "PUB": Office("PUB", "NWS Pueblo CO", -7),
}


def _county_area(county: County) -> Area:
    office = _OFFICES.get(county.state) or _COLORADO_OFFICES[_colorado_office(county.part)]
    return Area(
        f"{county.state}C{county.part}", f"{county.name}, {county.state}", (county.same,), office,
        "county", county.latitude, county.longitude,
    )  # fmt: skip


def _colorado_office(part: str) -> str:
    for line in _PARTS_OF_OFFICE.strip().split("\n"):
        office, *parts = line.split()
        if part in parts:
            return office
    return "BOU"


def _read_zone(line: str, kind: ZoneType) -> Area:
    head, _, parts = line.rpartition(":")
    number, office, name = head.split(" ", 2)
    counties = {county.part: county for county in COLORADO.counties}
    covered = [counties[part] for part in parts.split()]
    if kind == "fire":  # fire weather zones of these offices carry the public number plus 200
        number = str(int(number) + 200)
    return Area(
        f"COZ{number}", name, tuple(county.same for county in covered), _COLORADO_OFFICES[office],
        kind, covered[0].latitude, covered[0].longitude,
    )  # fmt: skip


def areas_by_office(kind: ZoneType) -> dict[str, tuple[Area, ...]]:
    """Return areas of a type by office code; outside Colorado always counties."""
    areas = [_county_area(c) for code, s in STATES.items() if code != "CO" for c in s.counties]
    if kind == "county":
        areas += [_county_area(county) for county in COLORADO.counties]
    else:
        areas += [_read_zone(line, kind) for line in _COLORADO_ZONES.strip().split("\n")]
    grouped: dict[str, tuple[Area, ...]] = {}
    for area in areas:
        grouped[area.office.code] = (*grouped.get(area.office.code, ()), area)
    return grouped
