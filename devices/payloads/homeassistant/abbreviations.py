"""The short forms of Home Assistant's discovery keys, as far as a value, a state or a card depends on them.

Source: the abbreviations of Home Assistant's MQTT integration; ESPHome and Tasmota announce with them. Keys
of commands, colours and looks are not read, so their short forms are not here either.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_PLATFORM: Final = {
    "cmps": "components",
    "dev": "device",
    "dev_cla": "device_class",
    "migr_discvry": "migrate_discovery",
    "o": "origin",
    "p": "platform",
}

_ENTITY: Final = {
    "def_ent_id": "default_entity_id",
    "e": "encoding",
    "en": "enabled_by_default",
    "ent_cat": "entity_category",
    "exp_aft": "expire_after",
    "frc_upd": "force_update",
    "obj_id": "object_id",
    "off_dly": "off_delay",
    "ops": "options",
    "stat_cla": "state_class",
    "sug_dsp_prc": "suggested_display_precision",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
}

_TOPICS_AND_TEMPLATES: Final = {
    "curr_hum_t": "current_humidity_topic",
    "curr_hum_tpl": "current_humidity_template",
    "curr_temp_t": "current_temperature_topic",
    "curr_temp_tpl": "current_temperature_template",
    "json_attr": "json_attributes",
    "json_attr_t": "json_attributes_topic",
    "json_attr_tpl": "json_attributes_template",
    "lrst_t": "last_reset_topic",
    "lrst_val_tpl": "last_reset_value_template",
    "stat_t": "state_topic",
    "stat_tpl": "state_template",
    "stat_val_tpl": "state_value_template",
    "t": "topic",
    "temp_stat_t": "temperature_state_topic",
    "temp_stat_tpl": "temperature_state_template",
    "temp_unit": "temperature_unit",
    "val_tpl": "value_template",
}

_STATES: Final = {
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "stat_locked": "state_locked",
    "stat_off": "state_off",
    "stat_on": "state_on",
    "stat_unlocked": "state_unlocked",
}

_AVAILABILITY: Final = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "pl_avail": "payload_available",
    "pl_not_avail": "payload_not_available",
}

KEYS: Final[Mapping[str, str]] = MappingProxyType(_PLATFORM | _ENTITY | _TOPICS_AND_TEMPLATES | _STATES | _AVAILABILITY)
"""Of a configuration, a component of one, and an entry of `availability`."""

DEVICE_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cns": "connections",
        "cu": "configuration_url",
        "hw": "hw_version",
        "ids": "identifiers",
        "mdl": "model",
        "mdl_id": "model_id",
        "mf": "manufacturer",
        "sa": "suggested_area",
        "sn": "serial_number",
        "sw": "sw_version",
    }
)
"""Of the `device` block."""


def expand(config: Mapping[str, object], keys: Mapping[str, str]) -> dict[str, object]:
    """Returns the configuration with its keys written out; of a key in both forms the long one counts."""
    expanded: dict[str, object] = {}
    for key, value in config.items():
        long = keys.get(key, key)
        if long == key or long not in config:
            expanded[long] = value
    return expanded
