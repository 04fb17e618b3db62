"""Counties: FIPS codes (public domain, U.S. Census Bureau), names and rough center points.

Colorado is complete (64 counties); of other states only a few counties, enough for a feed.
Points are within about 0.2 degree of the county's middle, for weather that differs by place.
"""

from __future__ import annotations

from dataclasses import dataclass

_COLORADO = """
001 Adams 39.87 -104.34|003 Alamosa 37.57 -105.79|005 Arapahoe 39.65 -104.34
007 Archuleta 37.19 -107.05|009 Baca 37.32 -102.56|011 Bent 37.95 -103.07
013 Boulder 40.09 -105.36|014 Broomfield 39.95 -105.05|015 Chaffee 38.75 -106.19
017 Cheyenne 38.83 -102.60|019 Clear Creek 39.69 -105.64|021 Conejos 37.20 -106.19
023 Costilla 37.28 -105.43|025 Crowley 38.32 -103.79|027 Custer 38.11 -105.37
029 Delta 38.86 -107.86|031 Denver 39.76 -104.88|033 Dolores 37.75 -108.52
035 Douglas 39.33 -104.93|037 Eagle 39.63 -106.70|039 Elbert 39.29 -104.14
041 El Paso 38.83 -104.53|043 Fremont 38.47 -105.44|045 Garfield 39.60 -107.90
047 Gilpin 39.86 -105.52|049 Grand 40.10 -106.12|051 Gunnison 38.67 -107.03
053 Hinsdale 37.82 -107.30|055 Huerfano 37.68 -104.96|057 Jackson 40.67 -106.34
059 Jefferson 39.59 -105.25|061 Kiowa 38.43 -102.74|063 Kit Carson 39.31 -102.60
065 Lake 39.20 -106.35|067 La Plata 37.29 -107.84|069 Larimer 40.66 -105.46
071 Las Animas 37.32 -104.04|073 Lincoln 38.99 -103.51|075 Logan 40.72 -103.11
077 Mesa 39.02 -108.47|079 Mineral 37.67 -106.92|081 Moffat 40.62 -108.21
083 Montezuma 37.34 -108.60|085 Montrose 38.40 -108.27|087 Morgan 40.26 -103.81
089 Otero 37.90 -103.72|091 Ouray 38.16 -107.77|093 Park 39.12 -105.72
095 Phillips 40.59 -102.36|097 Pitkin 39.22 -106.92|099 Prowers 37.96 -102.39
101 Pueblo 38.17 -104.51|103 Rio Blanco 39.98 -108.22|105 Rio Grande 37.58 -106.38
107 Routt 40.49 -106.99|109 Saguache 38.08 -106.28|111 San Juan 37.76 -107.68
113 San Miguel 38.00 -108.41|115 Sedgwick 40.88 -102.35|117 Summit 39.63 -106.12
119 Teller 38.88 -105.16|121 Washington 39.97 -103.20|123 Weld 40.55 -104.39
125 Yuma 40.00 -102.42
"""

_OTHERS = """
AZ 04 9|005 Coconino 35.84 -111.77|013 Maricopa 33.35 -112.49|017 Navajo 35.40 -110.32
AZ 04 9|019 Pima 32.10 -111.79|025 Yavapai 34.60 -112.55
CA 06 9|007 Butte 39.67 -121.60|037 Los Angeles 34.32 -118.22|065 Riverside 33.74 -115.99
CA 06 9|097 Sonoma 38.53 -122.93|111 Ventura 34.45 -119.09|071 San Bernardino 34.84 -116.18
FL 12 4|071 Lee 26.58 -81.92|086 Miami-Dade 25.61 -80.50|103 Pinellas 27.90 -82.74
FL 12 4|115 Sarasota 27.18 -82.37|129 Wakulla 30.14 -84.38|031 Duval 30.33 -81.65
IA 19 7|113 Linn 42.08 -91.60|153 Polk 41.69 -93.57|163 Scott 41.64 -90.62
KS 20 7|055 Finney 38.04 -100.74|075 Hamilton 38.00 -101.79|173 Sedgwick 37.68 -97.46
KS 20 7|181 Sherman 39.35 -101.72|071 Greeley 38.48 -101.81|193 Thomas 39.35 -101.06
LA 22 6|019 Calcasieu 30.23 -93.36|071 Orleans 30.07 -89.93|109 Terrebonne 29.33 -90.84
MO 29 7|095 Jackson 39.01 -94.35|097 Jasper 37.20 -94.34|189 St. Louis 38.64 -90.44
MT 30 8|063 Missoula 47.03 -113.92|111 Yellowstone 45.94 -108.27|031 Gallatin 45.54 -111.17
NE 31 7|033 Cheyenne 41.22 -102.99|055 Douglas 41.30 -96.15|057 Dundy 40.18 -101.69
NE 31 7|109 Lancaster 40.78 -96.69|123 Morrill 41.72 -103.01|157 Scotts Bluff 41.85 -103.71
NM 35 6|001 Bernalillo 35.05 -106.67|007 Colfax 36.61 -104.64|045 San Juan 36.51 -108.32
NM 35 6|049 Santa Fe 35.51 -105.98|055 Taos 36.58 -105.63|059 Union 36.48 -103.47
NV 32 9|003 Clark 36.21 -115.01|007 Elko 41.15 -115.36|031 Washoe 40.67 -119.66
OK 40 6|025 Cimarron 36.75 -102.52|109 Oklahoma 35.55 -97.41|139 Texas 36.75 -101.48
OK 40 6|143 Tulsa 36.12 -95.94|027 Cleveland 35.20 -97.33
SD 46 8|099 Minnehaha 43.67 -96.79|103 Pennington 44.00 -102.82
TX 48 6|029 Bexar 29.45 -98.52|113 Dallas 32.77 -96.78|201 Harris 29.86 -95.39
TX 48 6|303 Lubbock 33.61 -101.82|375 Potter 35.40 -101.89|453 Travis 30.33 -97.78
UT 49 8|019 Grand 38.98 -109.57|035 Salt Lake 40.67 -111.92|037 San Juan 37.63 -109.80
UT 49 8|047 Uintah 40.12 -109.52|049 Utah 40.12 -111.67|053 Washington 37.28 -113.51
WY 56 8|001 Albany 41.65 -105.72|007 Carbon 41.69 -106.93|013 Fremont 43.04 -108.63
WY 56 8|021 Laramie 41.31 -104.69|025 Natrona 42.96 -106.80|037 Sweetwater 41.66 -108.88
"""


@dataclass(frozen=True, slots=True)
class County:
    """A county: ``fips`` has five digits, ``part`` the last three."""

    state: str
    fips: str
    name: str
    latitude: float
    longitude: float

    @property
    def part(self) -> str:
        """The three digits of the county within its state."""
        return self.fips[2:]

    @property
    def same(self) -> str:
        """The six-digit SAME code of the whole county."""
        return f"0{self.fips}"


@dataclass(frozen=True, slots=True)
class State:
    """A state with its FEMA region and the counties known here."""

    code: str
    fips: str
    region: int
    counties: tuple[County, ...]


def _county(state: str, fips: str, text: str) -> County:
    part, *name, latitude, longitude = text.split()
    return County(state, fips + part, " ".join(name), float(latitude), float(longitude))


def _read() -> dict[str, State]:
    texts: dict[tuple[str, str, int], list[str]] = {}
    texts["CO", "08", 8] = [t for line in _COLORADO.split("\n") for t in line.split("|") if t]
    for line in filter(None, _OTHERS.split("\n")):
        head, *counties = line.split("|")
        code, fips, region = head.split()
        texts.setdefault((code, fips, int(region)), []).extend(counties)
    return {
        code: State(code, fips, region, tuple(_county(code, fips, text) for text in counties))
        for (code, fips, region), counties in texts.items()
    }


STATES: dict[str, State] = _read()
COLORADO: State = STATES["CO"]
