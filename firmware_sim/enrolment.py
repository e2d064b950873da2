"""Makes a school known to a gateway over its HTTP API: devices, people and their cards, alert rules.

Everything may be done again on the same gateway: what is there stays, what is missing is added. A device whose
secret is not at hand gets a new one, which ends the old.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from firmware_sim import rules
from firmware_sim.api_client import ApiClient, each_in_parallel
from firmware_sim.building import Device
from firmware_sim.discovery import BRIDGE_GRANTS, BRIDGE_ID
from firmware_sim.errors import Refusal, SimError
from firmware_sim.pupils import Pupil
from firmware_sim.wire import Credential

_THREADS = 4
_CONFLICT = 409

Progress = Callable[[str, int, int], None]
"""Called with what is being enrolled, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A device as the registry is to know it. `publish`: topic filters granted besides its own topics."""

    id: str
    kind: str
    name: str = ""
    place: str = ""
    publish: tuple[str, ...] = ()


def of_school(devices: Iterable[Device]) -> list[Registration]:
    """The school's devices, and the bridge that announces others."""
    own = [Registration(device.id, device.kind.value, device.name, device.room) for device in devices]
    return [*own, Registration(BRIDGE_ID, "bridge", "Zigbee bridge", "Office", BRIDGE_GRANTS)]


def for_load(count: int, prefix: str = "load") -> list[Registration]:
    """Devices for the load generator, one for each connection."""
    return [Registration(f"{prefix}-{number:04d}", "load_generator") for number in range(1, count + 1)]


def saved_secrets(path: Path | None) -> dict[str, str]:
    """Secrets of earlier enrolments by device id; empty if there is no such file. Raises SimError if it is damaged."""
    if path is None or not path.exists():
        return {}
    try:
        devices = json.loads(path.read_text())["devices"]
        return {str(name): str(secret) for name, secret in devices.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SimError(f"{path} is no file of credentials ({error}); delete it to enrol anew") from error


def save_secrets(path: Path, secrets: dict[str, str]) -> None:
    """Replaces the file at once, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"devices": secrets}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def enrol_devices(
    api: ApiClient, wanted: Sequence[Registration], known: dict[str, str], on_progress: Progress
) -> tuple[list[Credential], int]:
    """Credentials of all `wanted` devices, in order, and how many devices were added.

    `known`: secrets from earlier; one is believed if the gateway still has the device as active.
    """
    states = {str(item["id"]): item.get("state") for item in api.pages("devices")}

    def enrol(device: Registration) -> tuple[Credential, bool]:
        state = states.get(device.id)
        if state == "active" and device.id in known:
            return Credential(device.id, known[device.id]), False
        if state is None:
            try:
                return _credential(device, api.post("devices", _registration_json(device))), True
            except Refusal as refusal:
                if refusal.status != _CONFLICT:
                    raise
        path = f"devices/{quote(device.id, safe='')}"
        if state == "seen":
            api.post(f"{path}/adopt", {"kind": device.kind, "name": device.name, "place": device.place})
        return _credential(device, api.post(f"{path}/secret")), False

    total = len(wanted)
    done = each_in_parallel(wanted, enrol, _THREADS, lambda count: on_progress("devices", count, total))
    return [credential for credential, _ in done], sum(is_new for _, is_new in done)


def enrol_people(api: ApiClient, pupils: Sequence[Pupil], on_progress: Progress) -> tuple[int, int]:
    """How many people and how many cards were added. A person of the same name and class is the same person."""
    there: dict[tuple[str, str], tuple[str, bool]] = {}
    for item in api.pages("people"):
        there[str(item["name"]), str(item.get("group") or "")] = (str(item["id"]), bool(item.get("cards")))

    def enrol(pupil: Pupil) -> tuple[bool, bool]:
        person_id, has_card = there.get((pupil.name, pupil.group), ("", False))
        is_new = not person_id
        if is_new:
            person_id = str(api.post("people", {"name": pupil.name, "group": pupil.group})["id"])
        if has_card:
            return is_new, False
        card: dict[str, object] = {"credential": pupil.card.credential, "kind": pupil.card.kind}
        try:
            api.post(f"people/{quote(person_id, safe='')}/cards", card)
        except Refusal as refusal:
            if refusal.status != _CONFLICT:
                raise
            return is_new, False
        return is_new, True

    total = len(pupils)
    done = each_in_parallel(pupils, enrol, _THREADS, lambda count: on_progress("people", count, total))
    return sum(person for person, _ in done), sum(card for _, card in done)


def enrol_rules(api: ApiClient, wanted: Sequence[rules.Threshold | rules.Silence], on_progress: Progress) -> int:
    """How many rules were added. A rule of the same name is brought into line with what is wanted."""
    there = {str(item["name"]): item for item in api.pages("rules")}
    added = 0
    for number, rule in enumerate(wanted, start=1):
        body = rules.as_json(rule)
        old = there.get(rule.name)
        if old is None:
            api.post("rules", body)
            added += 1
        else:
            changed = {name: value for name, value in body.items() if old.get(name) != value and name != "kind"}
            if changed:
                api.patch(f"rules/{quote(str(old['id']), safe='')}", changed)
        on_progress("rules", number, len(wanted))
    return added


def _registration_json(device: Registration) -> dict[str, object]:
    body: dict[str, object] = {"id": device.id, "kind": device.kind, "name": device.name, "place": device.place}
    if device.publish:
        body["publish"] = list(device.publish)
    return body


def _credential(device: Registration, answer: dict[str, object]) -> Credential:
    secret = answer.get("secret")
    if not isinstance(secret, str) or not secret:
        raise SimError(f"the gateway gave no secret for {device.id}")
    return Credential(device.id, secret)
