"""Lets happen to a fleet what was ordered: lines that drop, repeats, wrong clocks, garbage, a flood."""

import collections
import random
from collections.abc import Callable

from firmware_sim import messages, packets
from firmware_sim.device_client import DeviceClient, now_ms
from firmware_sim.faults import FaultOrders, WrongClock, garbage

_FLOOD_AT_MOST_WAITING = 5000


class Mishaps:
    """Carries out `orders` on some of the devices. Every mishap is counted and told to `say`."""

    def __init__(
        self,
        orders: FaultOrders,
        clients: list[DeviceClient],
        rng: random.Random,
        say: Callable[[str], None],
    ) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self._orders = orders
        self._clients = clients
        self._rng = rng
        self._say = say
        self._owed = {name: rng.random() for name in ("drop", "garbage", "flood")}
        self._to_repeat: list[tuple[DeviceClient, str, bytes, int]] = []
        self._flooding = rng.choice(clients) if orders.flood_per_s else None
        self._started_ms = now_ms()
        for client, kind in zip(
            rng.sample(clients, min(orders.wrong_clocks, len(clients))), self._clock_kinds(), strict=False
        ):
            self._set_wrong(client, kind)
        if self._flooding is not None:
            say(f"fault flood: {self._flooding.id} sends {orders.flood_per_s:g} messages a second")

    def _clock_kinds(self) -> list[WrongClock]:
        return list(WrongClock) * (self._orders.wrong_clocks // len(WrongClock) + 1)

    def _set_wrong(self, client: DeviceClient, kind: WrongClock) -> None:
        client.clock = lambda: kind.stamp(now_ms(), self._started_ms)
        self.counts["wrong clocks"] += 1
        self._say(f"fault wrong clock: {client.id} is {kind.value}")

    def happen(self, elapsed_s: float) -> None:
        """What falls due in `elapsed_s` real seconds; first the repeats of what was sent before."""
        orders = self._orders
        repeats, self._to_repeat = self._to_repeat, []
        for repeat in repeats:
            self._repeat(*repeat)
        for _ in range(self._due("drop", orders.drops_per_min / 60 * elapsed_s)):
            self._drop_line()
        for _ in range(self._due("garbage", orders.garbage_per_min / 60 * elapsed_s)):
            self._send_garbage()
        for _ in range(self._due("flood", orders.flood_per_s * elapsed_s)):
            self._flood()

    def after(self, client: DeviceClient, topic: str, payload: bytes) -> None:
        """A device has sent this message; perhaps it will send it once more, as after a lost acknowledgement."""
        if self._orders.repeat_share and self._rng.random() < self._orders.repeat_share:
            self._to_repeat.append((client, topic, payload, client.seq - 1))

    def _repeat(self, client: DeviceClient, topic: str, payload: bytes, seq: int) -> None:
        is_marked = self._rng.random() < 0.5
        if client.send_stray(topic, payload, is_duplicate=is_marked):
            self.counts["repeats"] += 1
            how = "DUP, new packet id" if is_marked else "new packet id, no DUP"
            self._say(f"fault repeat: {client.id} sent its message {seq} again ({how})")

    def _due(self, name: str, more: float) -> int:
        self._owed[name] += more
        whole = int(self._owed[name])
        self._owed[name] -= whole
        return whole

    def _drop_line(self) -> None:
        client = self._rng.choice(self._clients)
        topic, payload = messages.telemetry(client.id, client.clock(), client.boot, client.seq, {"dropped": 1})
        packet = packets.publish(client.version, topic, payload, qos=messages.QOS, packet_id=1)
        sent = self._rng.randrange(1, len(packet))
        if client.break_off(packet, sent):
            self.counts["dropped lines"] += 1
            self._say(f"fault drop line: {client.id} closed its socket after {sent} of {len(packet)} bytes")

    def _send_garbage(self) -> None:
        client = self._rng.choice(self._clients)
        thing = garbage(self._rng)
        client.publish(f"sg/{client.id}/{thing.suffix}", thing.payload)
        self.counts["garbage"] += 1
        self._say(f"fault garbage: {client.id} sent {thing.title} ({len(thing.payload)} bytes)")

    def _flood(self) -> None:
        client = self._flooding
        if client is not None and len(client.outbox) < _FLOOD_AT_MOST_WAITING:
            client.measure({"temperature_c": round(self._rng.gauss(21, 0.5), 2)})
            self.counts["flood messages"] += 1
