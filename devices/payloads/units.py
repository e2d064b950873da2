"""Units and quantities as data: what spellings there are, and into which one unit each is brought.

A dimension has one unit of ours, whose `suffix` ends the name of every measurement of it: the SI unit, or the
one that people in the field read (°C, hPa, kWh, %). A quantity is a Home Assistant device class; its `stem`
begins the name. `measurements` puts the two together: `temperature` and `°F` become `temperature_c` with a
conversion.

Unit spellings are folded first (`fold`): no degree sign, µ is u, superscripts are digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Dimension:
    """`spellings`: folded unit to (scale, offset), ours = theirs × scale + offset.

    `stem` names the quantity of a value whose unit says enough and whose name does not ("Kitchen" in °C).
    """

    suffix: str
    spellings: Mapping[str, tuple[float, float]]
    stem: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """`synonyms`: other words for it in names, replaced by `stem`. `dimension` is a key of `DIMENSIONS`."""

    stem: str
    dimension: str
    synonyms: tuple[str, ...] = ()


_FOLDED: Final = str.maketrans(
    {
        "µ": "u",  # micro sign
        "μ": "u",  # Greek letter mu
        "²": "2",
        "³": "3",
        "^": "",
        "°": "",
        "º": "",
        "℃": "C",
        "℉": "F",
        "⋅": ".",
        "·": ".",
        "₂": "2",
        " ": "",
    }
)


def fold(unit: str) -> str:
    """Returns the unit in the spelling of the tables: `µg/m³` is `ug/m3`, `°C` is `C`, `°` is `deg`."""
    stripped = unit.strip()
    return "deg" if stripped in ("°", "º") else stripped.translate(_FOLDED)


def _scales(**factors: float) -> dict[str, tuple[float, float]]:
    return {unit: (factor, 0.0) for unit, factor in factors.items()}


def _dimension(suffix: str, factors: Mapping[str, float], stem: str = "") -> Dimension:
    return Dimension(suffix, MappingProxyType({unit: (by, 0.0) for unit, by in factors.items()}), stem)


_CUBIC_FOOT_M3: Final = 0.028316846592
_GALLON_M3: Final = 0.003785411784
_FLUID_OUNCE_M3: Final = _GALLON_M3 / 128

DIMENSIONS: Final[Mapping[str, Dimension]] = MappingProxyType(
    {
        "temperature": Dimension(
            "c",
            MappingProxyType(_scales(C=1.0, degC=1.0, Celsius=1.0) | {"F": (5 / 9, -160 / 9), "K": (1.0, -273.15)}),
            "temperature",
        ),
        "temperature_delta": _dimension("c", {"C": 1.0, "F": 5 / 9, "K": 1.0}),
        "share": _dimension("pct", {"%": 1.0, "%RH": 1.0, "percent": 1.0}),
        "power_factor": _dimension("", {"": 1.0, "%": 0.01, "Cosφ": 1.0, "cosφ": 1.0, "cosphi": 1.0}),
        "pressure": _dimension(
            "hpa",
            {
                "hPa": 1.0,
                "mbar": 1.0,
                "mb": 1.0,
                "Pa": 0.01,
                "kPa": 10.0,
                "bar": 1000.0,
                "cbar": 10.0,
                "mPa": 0.00001,
                "MPa": 10_000.0,
                "mmHg": 1.33322387415,
                "inHg": 33.8638866667,
                "inH2O": 2.490889,
                "psi": 68.9475729318,
            },
            "pressure",
        ),
        "ppm": _dimension("ppm", {"ppm": 1.0, "ppb": 0.001}),
        "ppb": _dimension("ppb", {"ppb": 1.0, "ppm": 1000.0}),
        "mass_concentration": _dimension(
            "ug_m3", {"ug/m3": 1.0, "mg/m3": 1000.0, "g/m3": 1_000_000.0, "ug/ft3": 1 / _CUBIC_FOOT_M3}
        ),
        "vapour": _dimension("g_m3", {"g/m3": 1.0, "mg/m3": 0.001}),
        "power": _dimension(
            "w",
            {"W": 1.0, "mW": 0.001, "kW": 1e3, "MW": 1e6, "GW": 1e9, "TW": 1e12, "BTU/h": 0.29307107},
            "power",
        ),
        "apparent_power": _dimension("va", {"VA": 1.0, "mVA": 0.001, "kVA": 1000.0}),
        "reactive_power": _dimension(
            "var", {"var": 1.0, "VAr": 1.0, "VAR": 1.0, "mvar": 0.001, "kvar": 1000.0, "kVAr": 1000.0}
        ),
        "energy": _dimension(
            "kwh",
            {
                "kWh": 1.0,
                "Wh": 0.001,
                "mWh": 0.000001,
                "MWh": 1e3,
                "GWh": 1e6,
                "TWh": 1e9,
                "J": 1 / 3_600_000,
                "kJ": 1 / 3600,
                "MJ": 1 / 3.6,
                "GJ": 1000 / 3.6,
                "cal": 4.184 / 3_600_000,
                "kcal": 4.184 / 3600,
                "Mcal": 4.184 / 3.6,
                "Gcal": 4184 / 3.6,
            },
            "energy",
        ),
        "reactive_energy": _dimension("kvarh", {"kvarh": 1.0, "varh": 0.001}),
        "energy_distance": _dimension("kwh_100km", {"kWh/100km": 1.0, "Wh/km": 0.1}),
        "voltage": _dimension("v", {"V": 1.0, "mV": 0.001, "uV": 0.000001, "kV": 1e3, "MV": 1e6}, "voltage"),
        "current": _dimension("a", {"A": 1.0, "mA": 0.001, "uA": 0.000001}, "current"),
        "illuminance": _dimension("lx", {"lx": 1.0, "lux": 1.0, "klx": 1000.0}, "illuminance"),
        "irradiance": _dimension(
            "w_m2", {"W/m2": 1.0, "BTU/(h.ft2)": 3.154590745, "BTU/(hft2)": 3.154590745}, "irradiance"
        ),
        "sound": _dimension("db", {"dB": 1.0}),
        "weighted_sound": _dimension("dba", {"dBA": 1.0, "dB(A)": 1.0}),
        "signal": _dimension("dbm", {"dBm": 1.0}),
        "length": _dimension(
            "m",
            {
                "m": 1.0,
                "km": 1e3,
                "dm": 0.1,
                "cm": 0.01,
                "mm": 0.001,
                "in": 0.0254,
                "ft": 0.3048,
                "yd": 0.9144,
                "mi": 1609.344,
                "nmi": 1852.0,
            },
        ),
        "rain": _dimension("mm", {"mm": 1.0, "cm": 10.0, "in": 25.4, "m": 1000.0}),
        "rain_rate": _dimension("mm_h", {"mm/h": 1.0, "mm/d": 1 / 24, "in/h": 25.4, "in/d": 25.4 / 24, "cm/h": 10.0}),
        "area": _dimension(
            "m2",
            {
                "m2": 1.0,
                "cm2": 0.0001,
                "mm2": 0.000001,
                "km2": 1e6,
                "in2": 0.00064516,
                "ft2": 0.09290304,
                "yd2": 0.83612736,
                "mi2": 2_589_988.110336,
                "ac": 4046.8564224,
                "ha": 10_000.0,
            },
        ),
        "volume": _dimension(
            "m3",
            {
                "m3": 1.0,
                "L": 0.001,
                "l": 0.001,
                "mL": 0.000001,
                "ml": 0.000001,
                "ft3": _CUBIC_FOOT_M3,
                "CCF": 100 * _CUBIC_FOOT_M3,
                "MCF": 1000 * _CUBIC_FOOT_M3,
                "gal": _GALLON_M3,
                "fl.oz.": _FLUID_OUNCE_M3,
                "floz": _FLUID_OUNCE_M3,
            },
        ),
        "flow": _dimension(
            "m3_h",
            {
                "m3/h": 1.0,
                "m3/min": 60.0,
                "m3/s": 3600.0,
                "L/h": 0.001,
                "L/min": 0.06,
                "L/s": 3.6,
                "mL/s": 0.0036,
                "ft3/min": 60 * _CUBIC_FOOT_M3,
                "gal/min": 60 * _GALLON_M3,
                "gal/h": _GALLON_M3,
                "gal/d": _GALLON_M3 / 24,
            },
        ),
        "mass": _dimension(
            "kg",
            {
                "kg": 1.0,
                "g": 0.001,
                "mg": 0.000001,
                "ug": 1e-9,
                "t": 1000.0,
                "oz": 0.028349523125,
                "lb": 0.45359237,
                "st": 6.35029318,
            },
        ),
        "speed": _dimension(
            "m_s",
            {
                "m/s": 1.0,
                "km/h": 1 / 3.6,
                "m/min": 1 / 60,
                "mm/s": 0.001,
                "in/s": 0.0254,
                "ft/s": 0.3048,
                "mph": 0.44704,
                "kn": 1852 / 3600,
                "mm/h": 0.001 / 3600,
                "mm/d": 0.001 / 86_400,
                "in/h": 0.0254 / 3600,
                "in/d": 0.0254 / 86_400,
            },
        ),
        "duration": _dimension(
            "s",
            {
                "s": 1.0,
                "sec": 1.0,
                "ms": 0.001,
                "us": 0.000001,
                "min": 60.0,
                "h": 3600.0,
                "d": 86_400.0,
                "w": 604_800.0,
            },
        ),
        "frequency": _dimension("hz", {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}, "frequency"),
        "angle": _dimension("deg", {"deg": 1.0, "": 1.0}),
        "conductivity": _dimension("us_cm", {"uS/cm": 1.0, "mS/cm": 1000.0, "S/cm": 1_000_000.0}, "conductivity"),
        "glucose": _dimension("mmol_l", {"mmol/L": 1.0, "mg/dL": 1 / 18.016}),
        "data_size": _dimension(
            "bytes",
            {"bit": 0.125, "kbit": 125.0, "Mbit": 125e3, "Gbit": 125e6, "B": 1.0}
            | {f"{prefix}B": 1000.0**power for power, prefix in enumerate("kMGTPEZY", 1)}
            | {f"{prefix}iB": 1024.0**power for power, prefix in enumerate("KMGTPEZY", 1)},
        ),
        "data_rate": _dimension(
            "bit_s",
            {f"{prefix}bit/s": 1000.0**power for power, prefix in enumerate(["", "k", "M", "G"])}
            | {f"{prefix}B/s": 8 * 1000.0**power for power, prefix in enumerate(["", "k", "M", "G"])}
            | {f"{prefix}iB/s": 8 * 1024.0**power for power, prefix in enumerate("KMG", 1)},
        ),
        "plain": _dimension("", {"": 1.0}),
        "money": _dimension("", {}),  # the currency stays in the name
    }
)

BY_CLASS_ONLY: Final = frozenset({"rain", "temperature_delta", "power_factor"})
"""Dimensions that a unit alone does not stand for: millimetres are a length unless something says rain."""

QUANTITIES: Final[Mapping[str, Quantity]] = MappingProxyType(
    {
        "absolute_humidity": Quantity("absolute_humidity", "vapour"),
        "apparent_power": Quantity("apparent_power", "apparent_power"),
        "aqi": Quantity("aqi", "plain", ("air_quality_index",)),
        "area": Quantity("area", "area"),
        "atmospheric_pressure": Quantity("pressure", "pressure"),
        "battery": Quantity("battery", "share"),
        "blood_glucose_concentration": Quantity("blood_glucose", "glucose"),
        "carbon_dioxide": Quantity("co2", "ppm", ("eco2",)),
        "carbon_monoxide": Quantity("co", "ppm"),
        "conductivity": Quantity("conductivity", "conductivity"),
        "current": Quantity("current", "current"),
        "data_rate": Quantity("data_rate", "data_rate"),
        "data_size": Quantity("data_size", "data_size"),
        "distance": Quantity("distance", "length"),
        "duration": Quantity("duration", "duration"),
        "energy": Quantity("energy", "energy"),
        "energy_distance": Quantity("consumption", "energy_distance"),
        "energy_storage": Quantity("energy_storage", "energy"),
        "frequency": Quantity("frequency", "frequency"),
        "gas": Quantity("gas", "volume"),
        "humidity": Quantity("humidity", "share"),
        "illuminance": Quantity("illuminance", "illuminance", ("illuminance_lux", "illumination")),
        "irradiance": Quantity("irradiance", "irradiance"),
        "moisture": Quantity("moisture", "share"),
        "monetary": Quantity("cost", "money"),
        "nitrogen_dioxide": Quantity("no2", "mass_concentration"),
        "nitrogen_monoxide": Quantity("no", "mass_concentration"),
        "nitrous_oxide": Quantity("n2o", "mass_concentration"),
        "ozone": Quantity("o3", "mass_concentration"),
        "ph": Quantity("ph", "plain"),
        "pm1": Quantity("pm1", "mass_concentration"),
        "pm10": Quantity("pm10", "mass_concentration"),
        "pm25": Quantity("pm2_5", "mass_concentration"),
        "pm4": Quantity("pm4", "mass_concentration"),
        "power": Quantity("power", "power"),
        "power_factor": Quantity("power_factor", "power_factor"),
        "precipitation": Quantity("precipitation", "rain"),
        "precipitation_intensity": Quantity("precipitation", "rain_rate"),
        "pressure": Quantity("pressure", "pressure"),
        "reactive_energy": Quantity("reactive_energy", "reactive_energy"),
        "reactive_power": Quantity("reactive_power", "reactive_power"),
        "signal_strength": Quantity("signal", "signal", ("wifi_signal", "rssi")),
        "sound_pressure": Quantity("sound", "sound"),
        "speed": Quantity("speed", "speed"),
        "sulphur_dioxide": Quantity("so2", "mass_concentration"),
        "temperature": Quantity("temperature", "temperature"),
        "temperature_delta": Quantity("temperature_delta", "temperature_delta"),
        "volatile_organic_compounds": Quantity("voc", "mass_concentration"),
        "volatile_organic_compounds_parts": Quantity("voc", "ppb"),
        "voltage": Quantity("voltage", "voltage"),
        "volume": Quantity("volume", "volume"),
        "volume_flow_rate": Quantity("flow", "flow"),
        "volume_storage": Quantity("stored_volume", "volume"),
        "water": Quantity("water", "volume"),
        "weight": Quantity("weight", "mass"),
        "wind_direction": Quantity("wind_direction", "angle"),
        "wind_speed": Quantity("wind_speed", "speed"),
    }
)
"""By the device class of a sensor or a number."""

QUANTITIES_BY_NAME: Final[Mapping[str, str]] = MappingProxyType(
    {
        "co2": "carbon_dioxide",
        "co": "carbon_monoxide",
        "eco2": "carbon_dioxide",
        "illuminance_lux": "illuminance",
        "pm2_5": "pm25",
        "rssi": "signal_strength",
        "soil_moisture": "moisture",
        "voc": "volatile_organic_compounds",
        "wifi_signal": "signal_strength",
    }
)
"""Device classes of entities that have none, by what they are usually called."""

STATES: Final[Mapping[str, Quantity]] = MappingProxyType(
    {
        "battery": Quantity("battery_low", "plain", ("low_battery",)),
        "battery_charging": Quantity("battery_charging", "plain"),
        "carbon_monoxide": Quantity("carbon_monoxide_detected", "plain"),
        "cold": Quantity("cold", "plain"),
        "connectivity": Quantity("connected", "plain", ("connection", "status")),
        "door": Quantity("door_open", "plain", ("contact",)),
        "garage_door": Quantity("garage_door_open", "plain", ("contact",)),
        "gas": Quantity("gas_detected", "plain"),
        "heat": Quantity("hot", "plain"),
        "light": Quantity("light_detected", "plain"),
        "lock": Quantity("unlocked", "plain"),
        "moisture": Quantity("moisture_detected", "plain", ("water_leak",)),
        "motion": Quantity("motion", "plain"),
        "moving": Quantity("moving", "plain"),
        "occupancy": Quantity("occupancy", "plain"),
        "opening": Quantity("open", "plain", ("contact",)),
        "plug": Quantity("plugged_in", "plain"),
        "power": Quantity("powered", "plain"),
        "presence": Quantity("presence", "plain"),
        "problem": Quantity("problem", "plain"),
        "running": Quantity("running", "plain"),
        "safety": Quantity("unsafe", "plain"),
        "smoke": Quantity("smoke_detected", "plain"),
        "sound": Quantity("sound_detected", "plain"),
        "tamper": Quantity("tampered", "plain"),
        "update": Quantity("update_available", "plain"),
        "vibration": Quantity("vibration", "plain"),
        "window": Quantity("window_open", "plain", ("contact",)),
    }
)
"""What 1.0 means, by the device class of a binary sensor."""
