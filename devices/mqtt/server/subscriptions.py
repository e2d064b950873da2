"""SUBSCRIBE and UNSUBSCRIBE on one connection: what the client gets from now on (MQTT 5.0 §3.8 to §3.11). No I/O.

Routes change at once; SUBACK, and the retained messages behind it, leave after the commit of the batch.
"""

import msgspec
from mqtt5 import (
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubAckReasonCode,
    UnsubscribePacket,
)

from devices.frame import JournalEntry
from devices.mqtt.server import journal
from devices.mqtt.server.access import Principal
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.inflow import Inflow
from devices.mqtt.server.message import Subscription
from devices.mqtt.server.outflow import Outflow
from devices.mqtt.server.session import Session
from devices.mqtt.topics import is_too_deep, split_share


class Subscriptions:
    """`principal`: who signed in, and so what the session may be subscribed to. `is_bridge`: it is a broker that speaks
    3.1.1. Its subscriptions have the options that it would choose in version 5, so that what it publishes does not come
    back to it, and what is retained stays marked on the other side."""

    __slots__ = ("_broker", "_inflow", "_is_bridge", "_outflow", "_principal", "_session")

    def __init__(
        self,
        broker: Broker,
        session: Session,
        principal: Principal,
        inflow: Inflow,
        outflow: Outflow,
        *,
        is_bridge: bool = False,
    ) -> None:
        self._broker = broker
        self._session = session
        self._principal = principal
        self._inflow = inflow
        self._outflow = outflow
        self._is_bridge = is_bridge

    def drop_forbidden(self) -> list[JournalEntry]:
        """A session that goes on keeps no subscription that it could not make now: whose grant was taken away, or with
        too many levels. Returns what to journal."""
        session = self._session
        forbidden = [
            found
            for found in session.subscriptions
            if is_too_deep(split_share(found)[1]) or not self._principal.may_subscribe(found)
        ]
        for topic_filter in forbidden:
            session.unsubscribe(topic_filter)
            self._broker.routes.remove(session, topic_filter)
        return [journal.drop_subscription(session.key, topic_filter) for topic_filter in forbidden]

    def subscribe(self, packet: SubscribePacket) -> None:
        """Answers filter by filter; one that is refused or over a cap changes nothing."""
        session = self._session
        self._inflow.submit()  # what was retained on this connection before is committed, and seen, before
        batch = self._inflow.batch
        codes: list[SubAckReasonCode] = []
        accepted: list[tuple[Subscription, bool]] = []
        for entry in packet.topic_filters:
            code = self._code(entry)
            codes.append(code)
            if code.value < 0x80:
                subscription = Subscription.of(entry, packet.subscription_id)
                if self._is_bridge and not entry.pattern.startswith("$share/"):
                    subscription = msgspec.structs.replace(subscription, no_local=True, retain_as_published=True)
                accepted.append((subscription, session.subscribe(subscription)))
                self._broker.routes.add(session, subscription)
                if session.is_persistent:
                    batch.entries.append(journal.put_subscription(session.key, subscription))

        def answer() -> None:
            self._outflow.send(SubAckPacket(packet.packet_id, codes))
            for subscription, is_new in accepted:
                if _wants_retained(subscription, is_new=is_new) and subscription.filter in session.subscriptions:
                    session.backlog[subscription.filter] = subscription
            if session.connection is not None:
                session.connection.pump()

        batch.calls.append(answer)

    def _code(self, entry: TopicFilter) -> SubAckReasonCode:
        session, limits = self._session, self._broker.limits
        if is_too_deep(split_share(entry.pattern)[1]):
            # "The Topic Filter is correctly formed but is not allowed for this Client" (MQTT 5.0 §3.9.3)
            self._broker.counters.refused_topics_total += 1
            return SubAckReasonCode.TOPIC_FILTER_INVALID
        if not self._principal.may_subscribe(entry.pattern):
            self._broker.counters.refused_topics_total += 1
            self._inflow.note_refusal("subscribe_refused", entry.pattern)
            return SubAckReasonCode.NOT_AUTHORIZED
        if entry.pattern not in session.subscriptions and (
            len(session.subscriptions) >= limits.max_subscriptions
            or session.subscription_bytes >= limits.subscription_bytes
        ):
            return SubAckReasonCode.QUOTA_EXCEEDED
        return SubAckReasonCode(entry.max_qos.value)

    def unsubscribe(self, packet: UnsubscribePacket) -> None:
        """Answers filter by filter; what is already on its way still comes [MQTT-3.10.4-3]."""
        session = self._session
        batch = self._inflow.batch
        codes: list[UnsubAckReasonCode] = []
        for topic_filter in packet.patterns:
            if not session.unsubscribe(topic_filter):
                codes.append(UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED)
                continue
            self._broker.routes.remove(session, topic_filter)
            codes.append(UnsubAckReasonCode.SUCCESS)
            if session.is_persistent:
                batch.entries.append(journal.drop_subscription(session.key, topic_filter))
        batch.calls.append(lambda: self._outflow.send(UnsubAckPacket(packet.packet_id, codes)))


def _wants_retained(subscription: Subscription, *, is_new: bool) -> bool:
    """MQTT 5.0 §3.3.1.3, [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; a shared subscription gets none (§4.8.2)."""
    if subscription.filter.startswith("$share/") or subscription.retain_handling == 2:
        return False
    return subscription.retain_handling == 0 or is_new
