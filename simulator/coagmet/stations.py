"""The simulated stations: ids as CoAgMet writes them, at places that really are in Colorado."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# id|name|location|latitude|longitude|elevation in feet|first year|irrigation
_TABLE = """
akr02|Akron|USDA Great Plains Research Station|40.15|-103.14|4550|1992|dry
alm01|Alamosa|San Luis Valley north of Alamosa|37.55|-105.88|7540|1994|full
alt01|Ault|1 mi SE Ault|40.57|-104.72|4910|1992|full
avn01|Avondale|1 mi SE Avondale|38.23|-104.33|4630|1992|full
brl01|Burlington North|18 mi NNE Burlington|39.50|-102.07|3900|1992|full
brl02|Burlington South|6 mi SE Burlington|39.26|-102.12|4170|1992|full
brg01|Briggsdale|3 mi S Briggsdale |40.59|-104.32|4858|2002|dry
cbn01|Carbondale|CSU Extension, Carbondale|39.38|-107.22|6181|2011|part
ctr01|Center|San Luis Valley Research Center|37.71|-106.14|7702|1993|full
ctz01|Cortez|9 mi SW Cortez|37.23|-108.69|6015|1991|full
den01|Denver|Denver Botanic area|39.71|-104.94|5309|2020|part
dlt01|Delta|3.5 mi W Delta|38.74|-108.13|5010|1994|full
dvn01|Dove Creek|4 mi NW Dove Creek|37.73|-108.95|6595|1992|dry
eac01|Eastern Adams County|Strasburg area|39.69|-104.32|5406|2014|dry
fcl01|Fort Collins AERC|CSU campus|40.59|-105.14|5120|1992|full
frt02|Fruita|CSU Research Station, Fruita|39.18|-108.70|4520|1993|full
ftm01|Fort Morgan|Morgan Community College area|40.26|-103.80|4317|1996|full
gby01|Granby|3 mi E Granby|40.09|-105.89|7980|2015|part
gjt01|Grand Junction|Orchard Mesa Station|39.04|-108.46|4739|1992|full
gly04|Greeley|Island Grove area|40.45|-104.64|4680|1992|full
gun01|Gunnison|6 mi N Gunnison|38.60|-106.91|7820|2015|full
hax01|Haxtun|2.5 mi NW Haxtun|40.67|-102.65|4040|1997|full
hly02|Holly|5 mi NW Holly|38.09|-102.18|3380|2001|full
hot01|Hotchkiss|Rogers Mesa Research Station|38.79|-107.79|5650|1993|full
hrm01|Kremmling|Hermosa Ranch |40.06|-106.39|7380|2016|part
idl01|Idalia|6 mi N Idalia|39.75|-102.29|3970|1990|full
krk01|Kirk|7 mi N Kirk|39.69|-102.59|4230|1997|full
lam04|Lamar|4 mi NE Lamar|38.12|-102.58|3620|1997|full
lcn01|Lucerne|2 mi NE Lucerne|40.47|-104.68|4750|1992|full
ljt01|La Junta|3 mi W La Junta|37.98|-103.60|4080|1992|full
mnc01|Mancos|6 mi E Mancos|37.33|-108.17|7250|2011|part
ofd01|Olathe|3 mi NW Olathe|38.63|-108.05|5325|1992|full
pai01|Paoli|1 mi N Paoli|40.63|-102.47|3905|1998|full
pkh01|Peckham|1 mi NE Peckham|40.31|-104.73|4710|1992|full
rfd01|Rocky Ford|Arkansas Valley Research Center|38.04|-103.69|4180|1992|full
sgw01|Sedgwick|1.5 mi N Sedgwick|40.95|-102.52|3580|2001|full
spr01|Springfield|10 mi W Springfield|37.39|-102.79|4600|2016|dry
stg01|Sterling|9 mi NE Sterling|40.73|-103.02|3936|1999|full
twc01|Towaoc|Ute Mountain Farm and Ranch|37.19|-108.94|5320|1998|full
wgg01|Wiggins|Kammerzell Farms area|40.31|-104.06|4560|1996|full
wry01|Wray|10 mi N Wray|40.19|-102.19|3650|1991|full
yjk01|Yellow Jacket|2.5 mi NW Yellow Jacket|37.53|-108.72|6900|1991|full
yum02|Yuma|2 mi N Yuma|40.15|-102.72|4140|1992|full
old01|Old Wellington|Closed in 2012|40.67|-105.00|5136|1993|unknown
"""

INACTIVE = frozenset({"old01"})
INACTIVE_SINCE = "2012-10-01T00:00"


@dataclass(frozen=True, slots=True)
class Station:
    """One station; elevation in feet, as the API has it."""

    id: str
    name: str
    location: str
    latitude: float
    longitude: float
    elevation: int
    since: int
    irrigation: str

    @property
    def active(self) -> bool:
        """Whether it still reports."""
        return self.id not in INACTIVE

    def metadata(self, last_observed: str) -> dict[str, Any]:
        """Return its entry in ``metadata.json``; ``last_observed`` is in the asked time zone."""
        return {
            "station": self.id,
            "name": self.name,
            "location": self.location,
            "lat": self.latitude,
            "lon": self.longitude,
            "elevation": self.elevation,
            # One station reports no height, which the network writes as zero.
            "anemometerHeight": 0.0 if self.id == "gby01" else 6.56,
            "active": "active" if self.active else "inactive",
            "irrigation": self.irrigation,
            "firstObs": f"{self.since}-03-20T12:00",
            "lastObs": last_observed if self.active else INACTIVE_SINCE,
            "timestep": 300 if self.since >= 2011 else 3600,
            "network": "coagmet",
        }


def _read(line: str) -> Station:
    number, name, location, latitude, longitude, elevation, since, irrigation = line.split("|")
    return Station(
        number, name, location, float(latitude), float(longitude), int(elevation), int(since),
        irrigation,
    )  # fmt: skip


STATIONS: dict[str, Station] = {
    station.id: station for station in map(_read, _TABLE.strip().split("\n"))
}
