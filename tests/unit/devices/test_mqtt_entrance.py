"""What is logged of TLS handshakes that fail."""

import structlog

from devices.mqtt.server.entrance import LOG_EVERY_S, MAX_LOGGED_ADDRESSES, FailedHandshakes, reason_of


def test_failures_are_all_counted_and_logged_once_a_minute_for_each_of_a_few_addresses() -> None:
    failed = FailedHandshakes()
    with structlog.testing.capture_logs() as logs:
        for number in range(100):
            failed.add("192.0.2.1", ConnectionResetError(), 1.0 + number / 10)
        assert [line["address"] for line in logs] == ["192.0.2.1"]
        for number in range(100):
            failed.add(f"198.51.100.{number}", ConnectionResetError(), 20.0)
        assert len(logs) == MAX_LOGGED_ADDRESSES
        failed.add("192.0.2.1", ConnectionResetError(), 1.0 + LOG_EVERY_S)
    assert len(logs) == MAX_LOGGED_ADDRESSES + 1
    assert logs[-1]["failures_total"] == failed.total == 201


def test_a_failure_is_logged_in_words() -> None:
    assert reason_of(ConnectionResetError()) == "the peer closed the connection"
    assert reason_of(ConnectionAbortedError("SSL handshake is taking longer than 30 seconds")) == "it took too long"
    assert reason_of(BrokenPipeError(32, "Broken pipe")) == "Broken pipe"
    assert reason_of(OSError()) == "OSError"
