"""Names of measurements and the conversion into the unit of the name."""

import re

import pytest

from devices.payloads.measurements import WELL_KNOWN, Measurement, of_number, of_state, slug
from devices.payloads.units import DIMENSIONS, QUANTITIES, STATES

LEGAL = re.compile(r"[a-z][a-z0-9_]{0,63}")


def stored(device_class: str | None, qualifier: str, unit: str, value: float) -> tuple[str, float | None]:
    measurement = of_number(device_class, qualifier, unit)
    return measurement.name, measurement.convert(value)


@pytest.mark.parametrize(
    ("device_class", "unit", "value", "expected"),
    [
        ("temperature", "°C", 21.5, ("temperature_c", 21.5)),
        ("temperature", "°F", 70.7, ("temperature_c", 21.5)),
        ("temperature", "K", 294.65, ("temperature_c", 21.5)),
        ("temperature", "℃", 21.5, ("temperature_c", 21.5)),
        ("humidity", "%", 40, ("humidity_pct", 40)),
        ("battery", "%", 87, ("battery_pct", 87)),
        ("moisture", "%", 12, ("moisture_pct", 12)),
        ("pressure", "hPa", 1013.2, ("pressure_hpa", 1013.2)),
        ("pressure", "Pa", 101_320, ("pressure_hpa", 1013.2)),
        ("pressure", "kPa", 101.32, ("pressure_hpa", 1013.2)),
        ("atmospheric_pressure", "mbar", 1013.2, ("pressure_hpa", 1013.2)),
        ("pressure", "inHg", 30, ("pressure_hpa", 1015.9166)),
        ("pressure", "psi", 10, ("pressure_hpa", 689.475729318)),
        ("carbon_dioxide", "ppm", 700, ("co2_ppm", 700)),
        ("carbon_monoxide", "ppm", 3, ("co_ppm", 3)),
        ("volatile_organic_compounds_parts", "ppb", 120, ("voc_ppb", 120)),
        ("volatile_organic_compounds", "µg/m³", 120, ("voc_ug_m3", 120)),
        ("pm25", "µg/m³", 8, ("pm2_5_ug_m3", 8)),
        ("pm25", "μg/m³", 8, ("pm2_5_ug_m3", 8)),  # the Greek letter
        ("pm10", "mg/m³", 0.008, ("pm10_ug_m3", 8)),
        ("power", "kW", 1.25, ("power_w", 1250)),
        ("apparent_power", "VA", 30, ("apparent_power_va", 30)),
        ("reactive_power", "VAr", 30, ("reactive_power_var", 30)),
        ("power_factor", "%", 95, ("power_factor", 0.95)),
        ("power_factor", "", 0.95, ("power_factor", 0.95)),
        ("energy", "Wh", 12_345, ("energy_kwh", 12.345)),
        ("energy", "MWh", 1.5, ("energy_kwh", 1500)),
        ("energy", "MJ", 3.6, ("energy_kwh", 1)),
        ("voltage", "mV", 3012, ("voltage_v", 3.012)),
        ("current", "mA", 20, ("current_a", 0.02)),
        ("illuminance", "lx", 300, ("illuminance_lx", 300)),
        ("illuminance", "lux", 300, ("illuminance_lx", 300)),
        ("sound_pressure", "dB", 55, ("sound_db", 55)),
        ("sound_pressure", "dBA", 55, ("sound_dba", 55)),
        ("signal_strength", "dBm", -67, ("signal_dbm", -67)),
        ("distance", "cm", 150, ("distance_m", 1.5)),
        ("distance", "in", 10, ("distance_m", 0.254)),
        ("gas", "m³", 7, ("gas_m3", 7)),
        ("gas", "kWh", 7, ("gas_kwh", 7)),
        ("water", "L", 7, ("water_m3", 0.007)),
        ("volume_flow_rate", "L/min", 10, ("flow_m3_h", 0.6)),
        ("speed", "km/h", 36, ("speed_m_s", 10)),
        ("wind_speed", "mph", 10, ("wind_speed_m_s", 4.4704)),
        ("wind_direction", "°", 270, ("wind_direction_deg", 270)),
        ("precipitation", "in", 1, ("precipitation_mm", 25.4)),
        ("precipitation_intensity", "mm/h", 2, ("precipitation_mm_h", 2)),
        ("weight", "g", 250, ("weight_kg", 0.25)),
        ("duration", "min", 5, ("duration_s", 300)),
        ("frequency", "kHz", 1, ("frequency_hz", 1000)),
        ("irradiance", "W/m²", 800, ("irradiance_w_m2", 800)),
        ("data_size", "GiB", 1, ("data_size_bytes", 1024**3)),
        ("data_rate", "MB/s", 1, ("data_rate_bit_s", 8_000_000)),
        ("ph", "", 7.2, ("ph", 7.2)),
        ("aqi", "", 42, ("aqi", 42)),
        ("monetary", "EUR", 3, ("cost_eur", 3)),
        ("speed", "Beaufort", 4, ("speed_beaufort", 4)),
    ],
)
def test_each_device_class_has_one_name_and_one_unit(
    device_class: str, unit: str, value: float, expected: tuple[str, float]
) -> None:
    assert stored(device_class, "", unit, value) == expected


@pytest.mark.parametrize(
    ("device_class", "qualifier", "unit", "name"),
    [
        ("temperature", "temperature", "°C", "temperature_c"),
        ("temperature", "kitchen", "°C", "kitchen_temperature_c"),
        ("temperature", "kitchen_temperature", "°F", "kitchen_temperature_c"),
        ("temperature", "temperature_l1", "°C", "temperature_l1_c"),
        ("temperature", "ds18b20_2", "°C", "ds18b20_2_temperature_c"),
        ("carbon_dioxide", "co2", "ppm", "co2_ppm"),
        ("carbon_dioxide", "carbon_dioxide", "ppm", "co2_ppm"),
        ("carbon_dioxide", "eco2", "ppm", "co2_ppm"),
        ("carbon_monoxide", "corridor", "ppm", "corridor_co_ppm"),
        ("pm25", "pm25", "µg/m³", "pm2_5_ug_m3"),
        ("energy", "energy_total", "kWh", "energy_total_kwh"),
        ("voltage", "battery_voltage", "mV", "battery_voltage_v"),
        ("power", "energy_apparent_power", "VA", "energy_apparent_power_va"),
        (None, "kitchen", "°C", "kitchen_temperature_c"),
        (None, "co2", "ppm", "co2_ppm"),
        (None, "voc", "ppb", "voc_ppb"),
        (None, "linkquality", "lqi", "linkquality_lqi"),
        (None, "water_level", "mm", "water_level_m"),
        (None, "uptime", "s", "uptime_s"),
        (None, "rssi", "dBm", "signal_dbm"),
        (None, "3d_printer", "", "m_3d_printer"),
        (None, "", "", "value"),
        (None, "", "%", "pct"),
        (None, "fan", "rpm", "fan_rpm"),
        (None, "fill", "KWH", "fill_energy_kwh"),
        ("no_such_class", "thing", "widgets/fortnight", "thing_widgets_fortnigh"),
    ],
)
def test_what_tells_an_entity_apart_stays_in_the_name(
    device_class: str | None, qualifier: str, unit: str, name: str
) -> None:
    assert of_number(device_class, qualifier, unit).name == name


@pytest.mark.parametrize(
    ("device_class", "qualifier", "otherwise", "name"),
    [
        ("door", "", "", "door_open"),
        ("door", "contact", "", "door_open"),
        ("door", "front_door", "", "front_door_open"),
        ("window", "outdoor_sensor", "", "outdoor_sensor_window_open"),
        ("battery", "battery_low", "", "battery_low"),
        ("moisture", "water_leak", "", "moisture_detected"),
        ("motion", "motion", "", "motion"),
        ("connectivity", "status", "", "connected"),
        (None, "switch", "on", "switch_on"),
        (None, "", "locked", "locked"),
        (None, "button", "", "button"),
    ],
)
def test_a_two_state_value_is_named_by_what_one_means(
    device_class: str | None, qualifier: str, otherwise: str, name: str
) -> None:
    assert of_state(device_class, qualifier, otherwise) == Measurement(name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Büro 1.OG", "buero_1_og"),
        ("ENERGY ApparentPower", "energy_apparent_power"),
        ("DS18B20", "ds18b20"),
        ("eCO2", "eco2"),
        ("Température", "temperature"),
        ("温度", ""),
        ("  --", ""),
    ],
)
def test_names_of_people_become_words(text: str, words: str) -> None:
    assert slug(text) == words


def test_a_long_name_is_cut_before_its_unit() -> None:
    name = of_number("temperature", "x" * 200, "°C").name
    assert len(name) == 64
    assert name.endswith("_c")


def test_a_value_that_leaves_the_range_of_a_double_is_no_value() -> None:
    assert of_number("power", "", "TW").convert(1e308) is None


def test_every_name_of_the_tables_is_legal_and_every_unit_of_a_quantity_leads_to_it() -> None:
    assert all(LEGAL.fullmatch(name) for name in WELL_KNOWN)
    assert {quantity.dimension for quantity in (*QUANTITIES.values(), *STATES.values())} <= DIMENSIONS.keys()
    for device_class, quantity in QUANTITIES.items():
        suffix = DIMENSIONS[quantity.dimension].suffix
        for unit in DIMENSIONS[quantity.dimension].spellings:
            name = of_number(device_class, "", unit).name
            assert name == (f"{quantity.stem}_{suffix}" if suffix else quantity.stem), (device_class, unit)


def test_in_every_dimension_our_own_unit_is_among_the_spellings_unchanged() -> None:
    for name, dimension in DIMENSIONS.items():
        if dimension.spellings:
            assert (1.0, 0.0) in dimension.spellings.values(), name
