"""Home Assistant discovery: announcements in the shapes of Zigbee2MQTT, Tasmota, ESPHome and others."""

import json

import pytest

from devices.errors import DecodeError
from devices.payloads.homeassistant.announcements import (
    Announcement,
    DiscoveryTopic,
    Withdrawal,
    decode_config,
    device_id_of,
    recognise,
)
from devices.payloads.homeassistant.entities import (
    AvailabilityMode,
    Entity,
    Reads,
    decode_availability,
    decode_state_message,
)


def announce(topic: str, config: object) -> Announcement:
    found = recognise(topic)
    assert found is not None
    announcement = decode_config(found, json.dumps(config).encode())
    assert isinstance(announcement, Announcement)
    return announcement


def entity(topic: str, config: object) -> Entity:
    (found,) = announce(topic, config).entities
    return found


def values(entities: tuple[Entity, ...] | list[Entity], document: object) -> dict[str, float]:
    telemetry = decode_state_message(entities, json.dumps(document).encode()).telemetry
    return {} if telemetry is None else telemetry.values


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("homeassistant/sensor/0x00a1/temperature/config", ("sensor", "0x00a1", "temperature")),
        ("homeassistant/switch/35EBF6_RL_1/config", ("switch", "", "35EBF6_RL_1")),
        ("homeassistant/device/plug-7/config", ("device", "", "plug-7")),
        ("homeassistant/device_automation/0x00a1/action_on/config", ("device_automation", "0x00a1", "action_on")),
    ],
)
def test_discovery_topics_are_recognised(topic: str, found: tuple[str, str, str]) -> None:
    assert recognise(topic) == DiscoveryTopic(topic, *found)


@pytest.mark.parametrize(
    "topic",
    [
        "homeassistant/status",
        "homeassistant/sensor/config",
        "homeassistant/sensor/a/b/c/config",
        "homeassistant/sensor/küche/config",
        "homeassistant/sensor/a b/config",
        "homeassistant/sensor/a/state",
        "homeassistant2/sensor/a/config",
        "homeassistant/sensor/a/config/",
        "homeassistant/sensor/" + "a" * 2000 + "/config",
    ],
)
def test_other_topics_are_not(topic: str) -> None:
    assert recognise(topic) is None


def test_another_prefix_may_have_levels_of_its_own() -> None:
    assert recognise("home/ha/sensor/a/config", "home/ha") == DiscoveryTopic(
        "home/ha/sensor/a/config", "sensor", "", "a"
    )
    assert recognise("homeassistant/sensor/a/config", "home/ha") is None


@pytest.mark.parametrize("payload", [b"", b"  ", b'{"migrate_discovery": true}', b'{"migr_discvry": true}'])
def test_an_empty_payload_withdraws(payload: bytes) -> None:
    topic = recognise("homeassistant/sensor/a/config")
    assert topic is not None
    assert decode_config(topic, payload) == Withdrawal("homeassistant/sensor/a/config")


# Zigbee2MQTT: long keys, one JSON document a device, availability as a list.

Z2M_DEVICE = {
    "identifiers": ["zigbee2mqtt_0x00158d0001a2b3c4"],
    "manufacturer": "Aqara",
    "model": "Temperature and humidity sensor (WSDCGQ11LM)",
    "name": "Room 12 air",
    "sw_version": "3000-0001",
}


def z2m(component: str, object_id: str, **config: object) -> Announcement:
    return announce(
        f"homeassistant/{component}/0x00158d0001a2b3c4/{object_id}/config",
        {
            "availability": [
                {"topic": "zigbee2mqtt/bridge/state", "value_template": "{{ value_json.state }}"},
                {"topic": "zigbee2mqtt/Room 12 air/availability", "value_template": "{{ value_json.state }}"},
            ],
            "availability_mode": "all",
            "device": Z2M_DEVICE,
            "object_id": f"room_12_air_{object_id}",
            "origin": {"name": "Zigbee2MQTT", "sw": "1.42.0", "url": "https://www.zigbee2mqtt.io"},
            "state_topic": "zigbee2mqtt/Room 12 air",
            "unique_id": f"0x00158d0001a2b3c4_{object_id}_zigbee2mqtt",
        }
        | config,
    )


def test_a_zigbee_sensor_gives_all_its_values_from_one_document() -> None:
    parts = [
        z2m(
            "sensor",
            "temperature",
            device_class="temperature",
            state_class="measurement",
            unit_of_measurement="°C",
            value_template="{{ value_json.temperature }}",
        ),
        z2m(
            "sensor",
            "pressure",
            device_class="atmospheric_pressure",
            unit_of_measurement="hPa",
            value_template="{{ value_json.pressure }}",
        ),
        z2m(
            "sensor",
            "battery",
            device_class="battery",
            unit_of_measurement="%",
            value_template="{{ value_json.battery }}",
        ),
        z2m(
            "sensor",
            "linkquality",
            name="Linkquality",
            unit_of_measurement="lqi",
            value_template="{{ value_json.linkquality }}",
        ),
    ]
    assert {part.device_id for part in parts} == {"ha-zigbee2mqtt_0x00158d0001a2b3c4"}
    assert (parts[0].name, parts[0].manufacturer, parts[0].sw_version) == ("Room 12 air", "Aqara", "3000-0001")
    entities = [one for part in parts for one in part.entities]
    assert {one.topic for one in entities} == {"zigbee2mqtt/Room 12 air"}
    assert values(entities, {"temperature": 21.4, "pressure": 1012.7, "battery": None, "linkquality": 105}) == {
        "temperature_c": 21.4,
        "pressure_hpa": 1012.7,
        "linkquality_lqi": 105.0,
    }


@pytest.mark.parametrize(("contact", "value"), [(True, 0.0), (False, 1.0), (None, None)])
def test_a_zigbee_contact_is_open_when_there_is_no_contact(contact: bool | None, value: float | None) -> None:
    (door,) = z2m(
        "binary_sensor",
        "contact",
        device_class="door",
        payload_on=False,
        payload_off=True,
        value_template="{{ value_json.contact }}",
    ).entities
    assert values([door], {"contact": contact}) == ({} if value is None else {"door_open": value})


def test_a_zigbee_switch_with_two_channels_has_two_names() -> None:
    entities = [
        one
        for channel in ("l1", "l2")
        for one in z2m(
            "switch",
            f"switch_{channel}",
            name=channel.capitalize(),
            payload_on="ON",
            payload_off="OFF",
            value_template=f"{{{{ value_json.state_{channel} }}}}",
        ).entities
    ]
    assert values(entities, {"state_l1": "ON", "state_l2": "OFF"}) == {"l1_on": 1.0, "l2_on": 0.0}


def test_a_zigbee_lamp_says_its_state_as_json_without_a_template() -> None:
    (lamp,) = z2m("light", "light", name=None, schema="json", brightness=True).entities
    assert values([lamp], {"state": "ON", "brightness": 200}) == {"light_on": 1.0}


def test_a_zigbee_thermostat_gives_the_room_and_the_target() -> None:
    announcement = z2m(
        "climate",
        "climate",
        name=None,
        state_topic=None,
        current_temperature_topic="zigbee2mqtt/Room 12 air",
        current_temperature_template="{{ value_json.local_temperature }}",
        temperature_state_topic="zigbee2mqtt/Room 12 air",
        temperature_state_template="{{ value_json.occupied_heating_setpoint }}",
        temperature_unit="C",
        action_template="{% set values = {None:None,'idle':'off'} %}{{ values[value_json.running_state] }}",
    )
    assert values(announcement.entities, {"local_temperature": 19.5, "occupied_heating_setpoint": 21}) == {
        "temperature_c": 19.5,
        "target_temperature_c": 21.0,
    }


def test_zigbee_availability_is_all_of_bridge_and_device() -> None:
    announcement = z2m("sensor", "temperature", value_template="{{ value_json.temperature }}")
    assert announcement.availability_mode is AvailabilityMode.ALL
    bridge, device = announcement.availability
    assert device.topic == "zigbee2mqtt/Room 12 air/availability"
    assert decode_availability(bridge, b'{"state":"online"}') is True
    assert decode_availability(device, b'{"state":"offline"}') is False
    assert decode_availability(device, b'{"state":"?"}') is None


def test_components_without_values_make_a_device_without_entities() -> None:
    announcement = z2m("device_automation", "action_single", topic="zigbee2mqtt/x/action", payload="single")
    assert announcement.entities == ()
    assert announcement.device_id == "ha-zigbee2mqtt_0x00158d0001a2b3c4"


# Tasmota: short keys, full topics, all readings of all sensors in one SENSOR message.


def tasmota(component: str, object_id: str, **config: object) -> Announcement:
    return announce(
        f"homeassistant/{component}/{object_id}/config",
        {
            "stat_t": "tele/plug_35EBF6/SENSOR",
            "avty_t": "tele/plug_35EBF6/LWT",
            "pl_avail": "Online",
            "pl_not_avail": "Offline",
            "uniq_id": object_id,
            "dev": {"ids": ["35EBF6"]},
        }
        | config,
    )


def test_a_tasmota_plug_tells_its_energies_apart() -> None:
    entities = [
        one
        for key, unit, device_class in (
            ("Total", "kWh", "energy"),
            ("Today", "kWh", "energy"),
            ("Power", "W", "power"),
            ("ApparentPower", "VA", "power"),
            ("Factor", "Cos φ", "power_factor"),
            ("Voltage", "V", "voltage"),
            ("TotalStartTime", " ", None),
        )
        for one in tasmota(
            "sensor",
            f"35EBF6_ENERGY_{key}",
            name=f"Workshop ENERGY {key}",
            unit_of_meas=unit,
            frc_upd=True,
            val_tpl=f"{{{{value_json['ENERGY']['{key}']}}}}",
            **({} if device_class is None else {"dev_cla": device_class}),
        ).entities
    ]
    document = {
        "Time": "2026-11-23T10:13:52",
        "ENERGY": {
            "TotalStartTime": "2024-01-30T09:15:55",
            "Total": 12.5,
            "Today": 0.25,
            "Power": 40,
            "ApparentPower": 50,
            "Factor": 0.8,
            "Voltage": 231,
        },
    }
    assert values(entities, document) == {
        "energy_total_kwh": 12.5,
        "energy_today_kwh": 0.25,
        "energy_power_w": 40.0,
        "energy_apparent_power_va": 50.0,
        "energy_factor_power_factor": 0.8,
        "energy_voltage_v": 231.0,
    }


def test_a_tasmota_relay_and_its_last_will() -> None:
    announcement = tasmota(
        "switch",
        "35EBF6_RL_1",
        name="Workshop",
        stat_t="tele/plug_35EBF6/STATE",
        cmd_t="cmnd/plug_35EBF6/POWER",
        val_tpl="{{value_json.POWER}}",
        pl_off="OFF",
        pl_on="ON",
    )
    assert announcement.device_id == "ha-35ebf6"
    assert values(announcement.entities, {"POWER": "ON"}) == {"rl_1_on": 1.0}
    (will,) = announcement.availability
    assert decode_availability(will, b"Online") is True
    assert decode_availability(will, b"Offline") is False
    assert decode_availability(will, b"online") is None


def test_a_tasmota_card_reader_shares_its_topic_with_readings() -> None:
    reader = announce(
        "homeassistant/tag/35EBF6_PN532/config",
        {
            "t": "tele/door_35EBF6/SENSOR",
            "val_tpl": "{{ value_json.PN532.UID }}",
            "dev": {"ids": ["35EBF6"], "name": "Main door"},
        },
    )
    (tag,) = reader.entities
    assert tag.reads is Reads.TAG
    (air,) = tasmota(
        "sensor",
        "35EBF6_BME280_Temperature",
        dev_cla="temperature",
        unit_of_meas="°C",
        stat_t="tele/door_35EBF6/SENSOR",
        val_tpl="{{value_json['BME280']['Temperature']}}",
    ).entities
    tapped = decode_state_message([tag, air], b'{"Time":"2026-11-23T08:00:01","PN532":{"UID":"94D8FC5F","DATA":""}}')
    assert tapped.telemetry is None
    assert [(tap.credential, tap.kind) for tap in tapped.taps] == [("94D8FC5F", "uid")]
    measured = decode_state_message([tag, air], b'{"Time":"2026-11-23T08:00:00","BME280":{"Temperature":20.5}}')
    assert measured.taps == ()
    assert measured.telemetry is not None
    assert measured.telemetry.values == {"bme280_temperature_c": 20.5}


# ESPHome: short keys, a topic for every value, no templates.


def esphome(component: str, object_id: str, **config: object) -> Announcement:
    return announce(
        f"homeassistant/{component}/library-air/{object_id}/config",
        {
            "stat_t": f"library-air/{component}/{object_id}/state",
            "avty_t": "library-air/status",
            "uniq_id": f"ESP{component}{object_id}",
            "dev": {
                "ids": "a4cf12d05e71",
                "name": "Library air",
                "sw": "2026.10.1",
                "mdl": "esp32dev",
                "mf": "Espressif",
                "sa": "Library",
                "cns": [["mac", "a4cf12d05e71"]],
            },
        }
        | config,
    )


@pytest.mark.parametrize(
    ("component", "object_id", "config", "payload", "expected"),
    [
        (
            "sensor",
            "co2",
            {"name": "CO2", "dev_cla": "carbon_dioxide", "unit_of_meas": "ppm"},
            b"712",
            {"co2_ppm": 712.0},
        ),
        ("sensor", "noise", {"name": "Noise", "unit_of_meas": "dBA"}, b"41.250", {"noise_dba": 41.25}),
        ("sensor", "pm_2_5", {"name": "PM 2.5", "dev_cla": "pm25", "unit_of_meas": "µg/m³"}, b"nan", {}),
        ("binary_sensor", "motion", {"name": "Motion", "dev_cla": "motion"}, b"ON", {"motion": 1.0}),
        ("binary_sensor", "status", {"name": "Status", "dev_cla": "connectivity"}, b"OFF", {"connected": 0.0}),
        ("switch", "fan_relay", {"name": "Fan relay", "cmd_t": "x"}, b"OFF", {"fan_relay_on": 0.0}),
        ("text_sensor", "version", {"name": "Version"}, b"2026.10.1", {}),
    ],
)
def test_an_esphome_node_has_a_topic_for_every_value(
    component: str, object_id: str, config: dict[str, object], payload: bytes, expected: dict[str, float]
) -> None:
    announcement = esphome(component, object_id, **config)
    assert (announcement.device_id, announcement.suggested_area) == ("ha-a4cf12d05e71", "Library")
    telemetry = decode_state_message(announcement.entities, payload).telemetry
    assert ({} if telemetry is None else telemetry.values) == expected


# The per-device form.

BMP280 = {
    "dev": {"ids": "f0a1b2", "name": "Cellar", "mf": "Physics club"},
    "o": {"name": "cellar"},
    "~": "school/cellar",
    "avty_t": "~/lwt",
    "stat_t": "~/state",
    "cmps": {
        "t": {
            "p": "sensor",
            "name": "Temperature",
            "dev_cla": "temperature",
            "unit_of_meas": "°F",
            "val_tpl": "{{value_json.t}}",
            "uniq_id": "f0a1b2t",
        },
        "v": {
            "p": "sensor",
            "name": "Battery voltage",
            "dev_cla": "voltage",
            "unit_of_meas": "mV",
            "val_tpl": "{{value_json.v}}",
            "exp_aft": 900,
        },
        "leak": {"p": "binary_sensor", "dev_cla": "moisture", "stat_t": "~/leak", "pl_on": "wet", "pl_off": "dry"},
        "gone": {"p": "sensor"},
        "odd": 5,
        "camera": {"p": "camera", "t": "~/picture"},
    },
}


def test_a_device_announces_all_its_components_at_once() -> None:
    announcement = announce("homeassistant/device/f0a1b2/config", BMP280)
    assert (announcement.device_id, announcement.name, announcement.manufacturer) == (
        "ha-f0a1b2",
        "Cellar",
        "Physics club",
    )
    assert [one.topic for one in announcement.availability] == ["school/cellar/lwt"]
    by_name = {one.measurement.name: one for one in announcement.entities}
    assert {name: one.topic for name, one in by_name.items()} == {
        "temperature_c": "school/cellar/state",
        "battery_voltage_v": "school/cellar/state",
        "leak_moisture_detected": "school/cellar/leak",
    }
    assert by_name["battery_voltage_v"].expire_after_s == 900
    shared = [by_name["temperature_c"], by_name["battery_voltage_v"]]
    assert values(shared, {"t": 50, "v": 2950}) == {"temperature_c": 10.0, "battery_voltage_v": 2.95}
    telemetry = decode_state_message([by_name["leak_moisture_detected"]], b"wet").telemetry
    assert telemetry is not None
    assert telemetry.values == {"leak_moisture_detected": 1.0}


def test_the_base_topic_expands_at_both_ends_and_only_of_topics() -> None:
    announcement = announce(
        "homeassistant/sensor/x/config",
        {
            "~": "base",
            "stat_t": "tele/~",
            "val_tpl": "~",
            "name": "~",
            "avty": {"t": "~/status", "pl_avail": "yes", "pl_not_avail": "no"},
        },
    )
    assert announcement.entities[0].topic == "tele/base"
    assert announcement.entities[0].name == "~"
    (availability,) = announcement.availability
    assert availability.topic == "base/status"
    assert decode_availability(availability, b"yes") is True


# What cannot be read is said.


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"state_topic": "a", "value_template": "{{ states('x') }}"}, "the function states"),
        ({"state_topic": "a", "value_template": "{{ value_json."}, "not one, by Jinja's grammar"),
        ({"state_topic": "a", "value_template": 5}, "not a text"),
        ({"state_topic": "a/+/b"}, "wildcard"),
        ({"state_topic": "#"}, "wildcard"),
        ({"state_topic": "a" * 1025}, "too long"),
        ({"state_topic": "a", "device_class": "timestamp"}, "not a number"),
        ({"state_topic": "a", "device_class": ["x"], "value_template": "{{ 1 ** 2 }}"}, "powers"),
    ],
)
def test_an_entity_that_cannot_be_read_is_there_with_the_reason(config: dict[str, object], reason: str) -> None:
    found = entity("homeassistant/sensor/x/config", config)
    assert found.unreadable is not None
    assert reason in found.unreadable
    assert decode_state_message([found], b"5").telemetry is None


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"5",
        b"offline",
        b"\xff",
        b"{",
        b'{"a":' + b"[" * 5000,
        b'{"x":"' + b"x" * 262_144 + b'"}',
        json.dumps({"~": "x" * 1025}).encode(),
        json.dumps({"availability": [{"topic": str(number)} for number in range(17)]}).encode(),
    ],
)
def test_what_is_no_announcement_is_a_decode_error(payload: bytes) -> None:
    topic = recognise("homeassistant/sensor/x/config")
    assert topic is not None
    with pytest.raises(DecodeError):
        decode_config(topic, payload)


@pytest.mark.parametrize(
    "components",
    [
        {str(number): {"p": "sensor", "t": "x"} for number in range(257)},
        {str(number): {"p": "climate", "curr_temp_t": "a", "temp_stat_t": "a"} for number in range(200)},
        {"k" * 257: {"p": "sensor", "stat_t": "x"}},
        {str(number): {"p": "sensor", "avty": [{"t": f"{number}-{one}"} for one in range(3)]} for number in range(6)},
    ],
)
def test_a_device_has_bounds(components: dict[str, object]) -> None:
    with pytest.raises(DecodeError, match=r"more than|longer than"):
        announce("homeassistant/device/x/config", {"cmps": components})


def test_without_a_device_block_the_node_or_the_unique_id_names_the_device() -> None:
    config = {"state_topic": "a", "unique_id": "Lab 7", "name": "Lab"}
    assert announce("homeassistant/sensor/node7/t/config", config).device_id == "ha-node7"
    lab = announce("homeassistant/sensor/t/config", config)
    assert lab.device_id.startswith("ha-lab-7-")
    assert lab.name == "Lab"
    assert announce("homeassistant/sensor/t/config", {"state_topic": "a"}).device_id == "ha-t"


@pytest.mark.parametrize(
    "device",
    [
        {"ids": ["A4:CF:12:D0:5E:71", "second"]},
        {"identifiers": "a4cf12d05e71"},
        {"ids": [], "cns": [["mac", "a4-cf-12-d0-5e-71"]]},
    ],
)
def test_one_device_has_one_id_however_it_names_itself(device: dict[str, object]) -> None:
    assert announce("homeassistant/sensor/x/config", {"dev": device}).device_id == "ha-a4cf12d05e71"


def test_device_ids_are_legal_and_different() -> None:
    identities = ["Büro 1", "B ro 1", "büro 1", "x" * 200, "x" * 201, "a/b", "a+b", "#", "../etc", "naïve", "0x01"]
    ids = [device_id_of(identity) for identity in identities]
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert len(one) <= 64
        assert one.isascii()
        assert not set(one) & set("/+# .")


@pytest.mark.parametrize("word", [True, 1, 1.5, "on"])
def test_a_payload_of_any_json_type_is_compared_as_it_would_be_written(word: object) -> None:
    found = entity(
        "homeassistant/binary_sensor/x/config",
        {"state_topic": "a", "payload_on": word, "value_template": "{{ value_json.x }}"},
    )
    assert values([found], {"x": word}) == {"x": 1.0}
