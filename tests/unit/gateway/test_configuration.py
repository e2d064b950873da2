"""Where a value comes from, and what is said about one that cannot be used."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.configuration.layers import Layer, Setting, load, settings, trace
from gateway.configuration.sections import Configuration
from gateway.errors import ConfigError


def written(directory: Path, text: str) -> Path:
    file = directory / "schoolgate.toml"
    file.write_text(text, "utf-8")
    return file


def refusal(file: Path | None = None, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(file, environ)
    return caught.value


def test_nothing_set_makes_a_working_configuration() -> None:
    configuration = load(None, {})
    assert configuration == Configuration()
    assert (configuration.http.port, configuration.https.port) == (8080, 8443)
    assert (configuration.mqtt.port, configuration.mqtts.port) == (1883, 8883)
    assert configuration.mqtt.anonymous_topics == ()


def test_a_later_layer_overrules_an_earlier_one(tmp_path: Path) -> None:
    file = written(tmp_path, '[node]\nname = "file"\ndata = "/file"\n[school]\nname = "Lindenschule"\n')
    environ = {"SCHOOLGATE_NODE__NAME": "environment", "SCHOOLGATE_NODE__DATA": "/environment"}
    effective = trace(file, environ, {"node.data": "/flag"})
    assert effective.configuration.school.name == "Lindenschule"
    assert effective.configuration.node.name == "environment"
    assert effective.configuration.node.data == Path("/flag")
    assert effective.origin("school.name").layer is Layer.FILE
    assert str(effective.origin("school.name")) == f"file {file}"
    assert str(effective.origin("node.name")) == "environment SCHOOLGATE_NODE__NAME"
    assert effective.origin("node.data").layer is Layer.FLAG
    assert effective.origin("mqtt.port").layer is Layer.DEFAULT


def test_the_tree_is_frozen() -> None:
    configuration = load(None, {})
    with pytest.raises(ValidationError, match="frozen"):
        configuration.mqtt.port = 1


def test_an_unknown_key_in_the_file_names_the_nearest_one(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, "[mqtt]\nprot = 1883\n"))
    assert error.field == "mqtt.prot"
    assert "did you mean mqtt.port?" in error.hint


def test_an_unknown_key_that_resembles_none_lists_the_sections_keys(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, "[log]\nzzzzzzzzzzz = 1\n"))
    assert "level format" in error.hint


def test_an_unknown_section_names_the_known_ones(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, "[influx]\nurl = 'x'\n"))
    assert error.field == "influx"
    assert "node school store mqtt mqtts http https bridge alerts privacy log" in error.hint


def test_a_section_that_is_no_table_is_refused(tmp_path: Path) -> None:
    assert "[mqtt]" in refusal(written(tmp_path, "mqtt = 3\n")).hint


def test_a_misspelt_variable_is_an_error_that_names_the_nearest_one() -> None:
    error = refusal(SCHOOLGATE_MQTT__PROT="1883")
    assert error.field == "SCHOOLGATE_MQTT__PROT"
    assert "SCHOOLGATE_MQTT__PORT" in error.hint


def test_a_variable_with_one_underscore_is_an_error_too() -> None:
    assert "SCHOOLGATE_MQTT__PORT" in refusal(SCHOOLGATE_MQTT_PORT="1883").hint


def test_other_programs_variables_are_no_concern_of_ours() -> None:
    assert load(None, {"PATH": "/bin", "SCHOOL": "x", "schoolgate_mqtt__port": "x"}) == Configuration()


def test_the_value_of_an_unknown_key_is_not_shown_as_it_may_be_a_secret() -> None:
    assert "hunter2" not in str(refusal(SCHOOLGATE_BRIDGE__PASSWROD="hunter2"))


def test_a_misspelt_flag_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"node\.data"):
        load(None, {}, {"node.date": "x"})


@pytest.mark.parametrize(
    ("variable", "text", "hint"),
    [
        ("SCHOOLGATE_MQTT__PORT", "65536", "less than or equal to 65535"),
        ("SCHOOLGATE_MQTT__PORT", "http", "valid integer"),
        ("SCHOOLGATE_MQTT__ENABLED", "perhaps", "valid boolean"),
        ("SCHOOLGATE_MQTT__ANONYMOUS_TOPICS", "a/#/b", "# is not the whole last level"),
        ("SCHOOLGATE_MQTT__ANONYMOUS_TOPICS", "a/b+", "+ is not a whole level"),
        ("SCHOOLGATE_MQTT__ANONYMOUS_TOPICS", "[", "begins like a JSON list"),
        ("SCHOOLGATE_MQTT__CONNECT_TIMEOUT_S", "nan", "finite number"),
        ("SCHOOLGATE_STORE__QUEUE_BYTES", "64 lots", "64 MiB"),
        ("SCHOOLGATE_STORE__QUEUE_BYTES", "1 KiB", "greater than or equal to"),
        ("SCHOOLGATE_SCHOOL__TIMEZONE", "Vienna", "Europe/Vienna"),
        ("SCHOOLGATE_SCHOOL__TIMEZONE", "../../etc/passwd", "Europe/Vienna"),
        ("SCHOOLGATE_LOG__FORMAT", "xml", "'text' or 'json'"),
        ("SCHOOLGATE_NODE__NAME", "a b", "match pattern"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_to_write_instead(variable: str, text: str, hint: str) -> None:
    error = refusal(None, **{variable: text})
    assert hint in error.hint
    assert variable in str(error)


def test_true_is_not_a_port(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, "[mqtt]\nport = true\n")).field == "mqtt.port"


def test_how_many_more_values_are_wrong_is_said() -> None:
    assert "1 more" in refusal(SCHOOLGATE_MQTT__PORT="0", SCHOOLGATE_HTTP__PORT="0").hint


def test_a_list_in_the_environment_is_comma_separated_or_json() -> None:
    def topics(text: str) -> tuple[str, ...]:
        return load(None, {"SCHOOLGATE_MQTT__ANONYMOUS_TOPICS": text}).mqtt.anonymous_topics

    assert topics("#") == ("#",)
    assert topics("a/+, b/#") == ("a/+", "b/#")
    assert topics('["a,b", "c"]') == ("a,b", "c")
    assert topics("") == ()


def test_a_size_may_have_its_unit(tmp_path: Path) -> None:
    assert load(None, {"SCHOOLGATE_STORE__QUEUE_BYTES": "2 MiB"}).store.queue_bytes == 2 << 20
    assert load(None, {"SCHOOLGATE_STORE__QUEUE_BYTES": "5000000"}).store.queue_bytes == 5_000_000
    file = written(tmp_path, '[store]\nqueue_bytes = "1 GB"\ncache_bytes = 8_388_608\n')
    assert load(file, {}).store.queue_bytes == 10**9
    assert load(file, {}).store.cache_bytes == 8 << 20


def test_a_secret_can_stand_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    effective = trace(None, {"SCHOOLGATE_BRIDGE__PASSWORD_FILE": str(file)})
    assert effective.configuration.bridge.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(effective)
    assert str(effective.origin("bridge.password")) == "environment SCHOOLGATE_BRIDGE__PASSWORD_FILE"


def test_a_secret_in_a_wrong_section_is_not_shown_in_the_error() -> None:
    environ = {"SCHOOLGATE_BRIDGE__ENABLED": "1", "SCHOOLGATE_BRIDGE__PASSWORD": "hunter2"}
    error = refusal(None, **environ)
    assert error.field == "bridge"
    assert "host" in error.hint
    assert "hunter2" not in str(error)


def test_a_secret_given_twice_is_an_error(tmp_path: Path) -> None:
    environ = {"SCHOOLGATE_BRIDGE__PASSWORD": "a", "SCHOOLGATE_BRIDGE__PASSWORD_FILE": str(tmp_path / "b")}
    assert "keep one of them" in refusal(None, **environ).hint


def test_a_secret_file_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    assert "No such file" in refusal(SCHOOLGATE_BRIDGE__PASSWORD_FILE=str(tmp_path / "none")).hint
    (tmp_path / "long").write_bytes(b"x" * 70_000)
    assert "no secret is that long" in refusal(SCHOOLGATE_BRIDGE__PASSWORD_FILE=str(tmp_path / "long")).hint
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "UTF-8" in refusal(SCHOOLGATE_BRIDGE__PASSWORD_FILE=str(tmp_path / "binary")).hint


def test_only_secrets_have_a_file_variable() -> None:
    assert refusal(SCHOOLGATE_MQTT__PORT_FILE="/port").field == "SCHOOLGATE_MQTT__PORT_FILE"


def test_a_file_that_is_not_there_or_not_toml_is_explained(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.toml").hint
    assert "is not TOML" in refusal(written(tmp_path, "[mqtt\n")).hint
    (tmp_path / "latin.toml").write_bytes(b"[school]\nname = '\xe4'\n")
    assert "is not TOML" in refusal(tmp_path / "latin.toml").hint


def test_two_doors_cannot_have_one_port() -> None:
    assert "mqtt.port and http.port are both 8080" in refusal(SCHOOLGATE_MQTT__PORT="8080").hint
    assert load(None, {"SCHOOLGATE_MQTT__PORT": "8080", "SCHOOLGATE_HTTP__ENABLED": "no"}).mqtt.port == 8080


def test_a_certificate_without_its_key_is_refused() -> None:
    assert refusal(SCHOOLGATE_HTTPS__CERTIFICATE="/c.pem").field == "https"
    both = {"SCHOOLGATE_HTTPS__CERTIFICATE": "/c.pem", "SCHOOLGATE_HTTPS__KEY": "/k.pem"}
    assert load(None, both).https.key == Path("/k.pem")
    assert load(None, {"SCHOOLGATE_HTTPS__CERTIFICATE": ""}).https.certificate is None


def test_every_key_has_its_own_variable() -> None:
    variables = [setting.variable for setting in settings()]
    assert len(set(variables)) == len(variables)


@given(st.sampled_from(settings()), st.text(st.characters(exclude_characters="\0"), max_size=40))
def test_any_text_in_the_environment_gives_a_configuration_or_a_config_error(setting: Setting, text: str) -> None:
    try:
        load(None, {setting.variable: text})
    except ConfigError as error:
        assert error.hint


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=3))


@given(st.sampled_from(settings()), SCALARS)
def test_any_value_of_a_flag_gives_a_configuration_or_a_config_error(setting: Setting, value: object) -> None:
    try:
        load(None, {}, {setting.name: value})
    except ConfigError as error:
        assert error.hint


def test_a_file_of_any_bytes_gives_a_configuration_or_a_config_error(tmp_path: Path) -> None:
    file = tmp_path / "any.toml"

    @given(st.binary(max_size=60) | st.text('[]=."\n mqtport1', max_size=40).map(str.encode))
    def check(content: bytes) -> None:
        file.write_bytes(content)
        try:
            load(file, {})
        except ConfigError as error:
            assert error.hint

    check()
