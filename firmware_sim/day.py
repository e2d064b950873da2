"""A school day on the wire: bells ring, sensors measure, pupils tap, things go wrong.

Simulated time only drives behaviour. Devices stamp their messages with the real time, as devices do, so that a
gateway sees live data and judges their clocks good, however fast the day passes.
"""

import asyncio
import heapq
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from firmware_sim import discovery
from firmware_sim.building import Device, Kind
from firmware_sim.device_client import DeviceClient
from firmware_sim.discovery import BRIDGE_ID
from firmware_sim.faults import FaultOrders
from firmware_sim.fleet import Fleet, FleetState
from firmware_sim.mishaps import Mishaps
from firmware_sim.report import Report
from firmware_sim.school import INCIDENTS, School, SchoolClock, SimulatedTime, Tap
from firmware_sim.sensors import Model, Moment, model_of
from firmware_sim.timetable import bells_between, clock, period_at
from firmware_sim.wire import Credential

_TURN_S = 0.05
_STATUS_EVERY_S = 10.0
_ANNOUNCED_EVERY_S = 15.0
_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class DayOrder:
    """A day to be played: where, by whom, how fast, and what goes wrong. `duration_s`: real seconds, 0: until
    the day is over (or, if it loops, until it is cancelled)."""

    host: str
    port: int
    credentials: Sequence[Credential]
    clock: SchoolClock
    faults: FaultOrders
    duration_s: float = 0.0
    has_incidents: bool = True


class SchoolDay:
    """Plays a school's days through a fleet of devices."""

    def __init__(self, school: School, order: DayOrder, report: Report) -> None:
        self._school = school
        self._order = order
        self._report = report
        self._rng = random.Random(f"{school.seed}/day")
        clients = [
            DeviceClient(
                credential,
                order.host,
                order.port,
                is_kept_session=credential.device_id.startswith(Kind.READER.value),
            )
            for credential in order.credentials
        ]
        self.fleet = Fleet(clients, random.Random(f"{school.seed}/back-off"))
        self._bridge = self.fleet.clients.get(BRIDGE_ID)
        self._devices = [device for device in school.devices if device.id in self.fleet.clients]
        self._models: dict[str, Model] = {
            device.id: model_of(device, school.room(device), school.seed) for device in self._devices
        }
        ordinary = [client for client in clients if client.id != BRIDGE_ID]
        self._mishaps = Mishaps(order.faults, ordinary, self._rng, report.fault)
        self._taps = 0
        self._due: list[tuple[float, int]] = []
        self._now = SimulatedTime(0, order.clock.starts)

    async def play(self) -> FleetState:
        """Connects the fleet, plays the day, lets the fleet say what it has left, and returns the sum of it.

        Cancelling it ends the day early, in the same orderly way.
        """
        try:
            async with asyncio.TaskGroup() as group:
                connections = group.create_task(self.fleet.run(), name="fleet")
                try:
                    await self._open()
                    await self._days()
                    await self._drained()
                finally:
                    connections.cancel()
        finally:
            self._summary()
        return self.fleet.state()

    async def _open(self) -> None:
        """Waits for the devices, as long as they are still coming, and lets the bridge announce its own."""
        total = len(self.fleet.clients)
        try:
            async with asyncio.timeout(15):
                await self.fleet.until_online(
                    1.0, lambda online: self._report.progress("devices online", online, total)
                )
        except TimeoutError:
            online = self.fleet.state().online
            self._report.event("trouble", f"{total - online} of {total} devices are offline: {self.fleet.trouble}")
        if self._bridge is not None:
            self._bridge.publish(*discovery.BRIDGE_STATE, is_retained=True)
            for topic, payload in discovery.announcements():
                self._bridge.publish(topic, payload, is_retained=True)

    async def _days(self) -> None:
        loop = asyncio.get_running_loop()
        start = previous = loop.time()
        status_at, announced_at = start, start
        taps = self._first_taps()
        while not self._order.duration_s or previous - start < self._order.duration_s:
            await asyncio.sleep(_TURN_S)
            now = loop.time()
            time = self._order.clock.time_at(now - start)
            if time is None:
                return
            if time.day != self._now.day:
                self._begin_day(time)
                taps = self._first_taps()
            self._mishaps.happen(now - previous)
            self._ring(time)
            self._measure(time)
            while taps and taps[-1].second <= time.second:
                tap = taps.pop()
                reader = self.fleet.clients[tap.reader_id]
                self._mishaps.after(reader, *reader.tap(tap))
                self._taps += 1
            self._now, previous = time, now
            if now >= announced_at:
                announced_at = now + _ANNOUNCED_EVERY_S
                self._tell_bridge()
            if now >= status_at:
                status_at = now + _STATUS_EVERY_S
                self._status()

    async def _drained(self) -> None:
        """Gives the devices a moment for what they still keep."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while True:
                    if not self.fleet.state().waiting:
                        return
                    await asyncio.sleep(_TURN_S)
        except TimeoutError:
            return  # the summary says how much is left

    def _first_taps(self) -> list[Tap]:
        """The taps of the present day that are still to come, the next one last."""
        coming = [
            tap
            for tap in self._school.taps_of(self._now.day)
            if tap.second > self._now.second and tap.reader_id in self.fleet.clients
        ]
        coming.reverse()
        return coming

    def _begin_day(self, time: SimulatedTime) -> None:
        self._now = SimulatedTime(time.day, self._order.clock.starts)
        self._due = []
        for incident in INCIDENTS:
            if incident.is_line_cut and incident.device_id in self.fleet.clients:
                self.fleet.clients[incident.device_id].plug_in()
        self._report.event("day", f"── day {time.day + 1}", day=time.day + 1)

    def _ring(self, time: SimulatedTime) -> None:
        """Bells, and incidents that begin or end."""
        for period in bells_between(self._now.second, time.second):
            self._report.event("bell", f"{clock(period.starts)}  {period.title}", at=clock(period.starts))
        if not self._order.has_incidents:
            return
        for incident in INCIDENTS:
            client = self.fleet.clients.get(incident.device_id)
            if client is None or incident.is_on(self._now.second) == incident.is_on(time.second):
                continue
            begins = incident.is_on(time.second)
            self._report.event(
                "incident",
                f"{clock(time.second)}  {incident.title}" + ("" if begins else ": put right"),
                device=incident.device_id,
                is_on=begins,
            )
            if incident.is_line_cut and begins:
                client.unplug()
            elif incident.is_line_cut:
                client.plug_in()

    def _measure(self, time: SimulatedTime) -> None:
        """Lets every sensor measure that is due. The first time they are spread over their interval."""
        if not self._due:
            for number, device in enumerate(self._devices):
                heapq.heappush(self._due, (time.second + self._rng.uniform(0, device.interval_s), number))
        while self._due and self._due[0][0] <= time.second:
            due, number = self._due[0]
            device = self._devices[number]
            heapq.heapreplace(self._due, (max(due + device.interval_s, time.second), number))
            client = self.fleet.clients[device.id]
            values = self._models[device.id].step(self._moment(device, time.second))
            self._mishaps.after(client, *client.measure(values))

    def _moment(self, device: Device, second: float) -> Moment:
        is_incident = self._order.has_incidents and any(
            incident.device_id == device.id and incident.is_on(second) for incident in INCIDENTS
        )
        return Moment(
            second=second,
            elapsed_s=device.interval_s,
            people=self._school.people_in(device.room, second),
            phase=period_at(second).phase,
            is_incident=is_incident,
        )

    def _tell_bridge(self) -> None:
        if self._bridge is not None and self._bridge.is_online:
            for device in discovery.DEVICES:
                self._bridge.publish(*discovery.state(device, self._rng))

    def _status(self) -> None:
        state = self.fleet.state()
        faults = "".join(f" · {name} {count}" for name, count in self._mishaps.counts.items())
        self._report.event(
            "status",
            f"{self._now}  {period_at(self._now.second).title} · {state.online}/{state.devices} online · "
            f"{state.acknowledged:,} acknowledged · {state.waiting} waiting · {self._taps:,} taps{faults}",
            time=str(self._now),
            taps=self._taps,
            faults=dict(self._mishaps.counts),
            **asdict(state),
        )

    def _summary(self) -> None:
        state = self.fleet.state()
        faults = "".join(f", {count} {name}" for name, count in self._mishaps.counts.items())
        self._report.event(
            "summary",
            f"{state.sent:,} messages, {state.acknowledged:,} acknowledged, {state.waiting} not yet, "
            f"{state.dropped} dropped; {self._taps:,} taps, {state.commands} commands{faults}",
            taps=self._taps,
            faults=dict(self._mishaps.counts),
            **asdict(state),
        )
