"""Dockerfile and docker-compose.yml, as far as they can be checked without an engine."""

import json
import re
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from firmware_sim.cli import app as school_sim
from gateway.configuration.layers import load, settings

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"SCHOOLGATE_[A-Z0-9_]+")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile, continuation lines joined and comments left out."""

    word: str
    rest: str


def instructions() -> list[Instruction]:
    lines = [line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, beginning with its FROM."""
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction.word == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def final(word: str) -> list[str]:
    return [instruction.rest for instruction in stages()[-1] if instruction.word == word]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_the_compose_file_fits_the_compose_specification(compose: dict[str, Any]) -> None:
    package = distribution("check-jsonschema")
    file = Path(str(package.locate_file("check_jsonschema/builtin_schemas/vendor/compose-spec.json")))
    schema = json.loads(file.read_text("utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(compose)
    compose["services"]["gateway"]["prots"] = ["1883:1883"]
    with pytest.raises(jsonschema.ValidationError, match="prots"):  # the schema does find a wrong key
        jsonschema.validators.validator_for(schema)(schema).validate(compose)
    del compose["services"]["gateway"]["prots"]


def test_every_variable_of_the_compose_file_is_a_key_of_the_configuration(compose: dict[str, Any]) -> None:
    environ = {name: str(value) for name, value in compose["services"]["gateway"]["environment"].items()}
    configuration = load(None, environ)
    assert configuration.bridge.enabled
    assert configuration.bridge.host in compose["services"]


@pytest.mark.parametrize("file", ["Dockerfile", "docker-compose.yml"])
def test_every_variable_named_in_the_file_exists(file: str) -> None:
    known = {setting.variable for setting in settings()}
    known |= {f"{setting.variable}_FILE" for setting in settings() if setting.is_secret}
    named = set(VARIABLE.findall((ROOT / file).read_text("utf-8")))
    assert named
    assert named <= known


def test_services_are_the_gateway_the_simulated_school_and_a_broker(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"gateway", "school", "mosquitto"}
    assert services["school"]["entrypoint"] == ["school-sim"]
    assert services["school"]["depends_on"]["gateway"]["condition"] == "service_healthy"
    assert "test" in services["mosquitto"]["healthcheck"]
    assert "healthcheck" not in services["gateway"], "the image has one"


def test_the_simulated_school_knows_its_options_and_variables(compose: dict[str, Any]) -> None:
    service = compose["services"]["school"]
    command, *arguments = service["command"]
    group = typer.main.get_command(school_sim)
    day = group.get_command(typer.Context(group), command)  # type: ignore[attr-defined]  # a group has it
    assert day.make_context(command, arguments).params["loop"] is True
    assert set(service["environment"]) <= {option.envvar for option in day.params}
    assert service["environment"]["SCHOOL_SIM_KEY_FILE"] == "/data/admin.key"


def test_named_volumes_are_declared_and_mounted_files_exist(compose: dict[str, Any]) -> None:
    mounted = [volume for service in compose["services"].values() for volume in service.get("volumes", ())]
    for volume in mounted:
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).is_file()
        else:
            assert source in compose["volumes"]
    assert {volume.split(":")[0] for volume in mounted} >= set(compose["volumes"])


def test_published_ports_are_those_of_the_image_and_of_the_defaults(compose: dict[str, Any]) -> None:
    exposed = {int(port) for port in final("EXPOSE")[0].split()}
    published = {int(port.split(":")[-1]) for port in compose["services"]["gateway"]["ports"]}
    default = load(None, {})
    assert exposed == published
    assert exposed == {default.mqtt.port, default.mqtts.port, default.http.port, default.https.port}


def test_images_of_others_name_their_version(compose: dict[str, Any]) -> None:
    bases = [stage[0].rest.split()[0] for stage in stages()]
    others = [service["image"] for service in compose["services"].values() if service["image"] != "schoolgate"]
    for image in (*bases, *others):
        assert re.search(r":\d", image), image


def test_the_dockerfile_builds_in_one_stage_and_runs_in_another() -> None:
    build, run = stages()
    assert build[0].rest.endswith(" AS build")
    assert [one.rest for one in run if one.word == "COPY"] == ["--from=build /opt/schoolgate /opt/schoolgate"]


def test_everything_the_dockerfile_copies_exists_and_is_let_through() -> None:
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for instruction in stages()[0]:
        if instruction.word != "COPY":
            continue
        for source in instruction.rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source.split('/')[0]}" in allowed, source


def test_every_package_of_the_distribution_is_copied() -> None:
    copied = {one.rest.split()[0] for one in stages()[0] if one.word == "COPY"}
    packages = {init.parent.name for init in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= copied


def test_it_does_not_run_as_root() -> None:
    (user,) = final("USER")
    assert user not in ("root", "0")
    assert any("useradd --system --uid 10001 --user-group" in run and user in run for run in final("RUN"))


def test_the_data_volume_is_the_users_and_where_the_gateway_keeps_its_data() -> None:
    (volume,) = final("VOLUME")
    environ = dict(re.findall(r"(SCHOOLGATE_\w+)=(\S+)", final("ENV")[0]))
    assert load(None, environ).node.data == Path(volume)
    assert any("--owner=schoolgate" in run and volume in run.split() for run in final("RUN"))


def test_the_health_check_is_python_that_compiles_and_asks_the_gateway() -> None:
    (check,) = final("HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/healthz" in command[2]


def test_nothing_in_the_image_depends_on_the_processor() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8") + (ROOT / "docker-compose.yml").read_text("utf-8")
    commands = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert not re.search(r"amd64|arm64|x86_64|aarch64|--platform|platform:", commands)


def test_packages_are_installed_by_their_hashes() -> None:
    installs = [one.rest for one in stages()[0] if one.word == "RUN" and "pip install" in one.rest]
    for step in " && ".join(installs).split("&&"):
        if "pip install" in step:
            assert "--require-hashes" in step or step.rstrip().endswith("--no-build-isolation ."), step
