import assert from "node:assert/strict";
import { test } from "node:test";

import { EventStreamParser, type StreamEvent } from "../src/gateway/event_stream.ts";

function read(...pieces: string[]): { events: StreamEvent[]; parser: EventStreamParser } {
  const parser = new EventStreamParser();
  return { events: pieces.flatMap((piece) => parser.push(piece)), parser };
}

const STREAM =
  'retry: 2000\n\n: hello\nid: 7-1\nevent: reading\ndata: {"value":\ndata: 21.5}\n\nid: 7-2\nevent: tap\ndata: {}\n\n';

test("an event has its kind, its lines of data and its id", () => {
  const { events, parser } = read(STREAM);
  assert.deepEqual(events, [
    { kind: "reading", data: '{"value":\n21.5}', id: "7-1" },
    { kind: "tap", data: "{}", id: "7-2" },
  ]);
  assert.equal(parser.retryMs, 2000);
});

test("wherever the stream is cut, the events are the same", () => {
  for (const ending of ["\n", "\r", "\r\n"]) {
    const stream = STREAM.replaceAll("\n", ending);
    const whole = read(stream).events;
    for (let cut = 0; cut <= stream.length; cut += 1) {
      assert.deepEqual(read(stream.slice(0, cut), stream.slice(cut)).events, whole, `cut at ${cut}`);
    }
    assert.deepEqual(read(...stream).events, whole, "character by character");
  }
});

test("an id without data is where to resume from, and no event", () => {
  const { events, parser } = read("id: 9-4\n\n");
  assert.deepEqual(events, []);
  assert.equal(parser.lastEventId, "9-4");
});

test("an id stays until the next one", () => {
  assert.deepEqual(
    read("id: 1\ndata: a\n\ndata: b\n\n").events.map((event) => event.id),
    ["1", "1"],
  );
});

test("an event without a kind is a message", () => {
  assert.deepEqual(read("data: x\n\n").events, [{ kind: "message", data: "x", id: "" }]);
});

test("only one space after the colon is no part of the value", () => {
  assert.equal(read("data:  x\n\n").events[0]?.data, " x");
  assert.equal(read("data:x\n\n").events[0]?.data, "x");
});

test("comments, unknown fields and a retry that is no number are ignored", () => {
  const { events, parser } = read(": data: no\ncolour: red\nretry: soon\nretry\ndata\n\n");
  assert.deepEqual(events, [{ kind: "message", data: "", id: "" }]);
  assert.equal(parser.retryMs, null);
});

test("an id with a zero character is ignored", () => {
  assert.equal(read("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n").parser.lastEventId, "1");
});

test("a byte order mark at the start is no part of the first field", () => {
  assert.equal(read("\uFEFFdata: x\n\n").events[0]?.data, "x");
});

test("an event that has not ended is not given", () => {
  assert.deepEqual(read("data: x\n").events, []);
});

test("a line that never ends is refused before memory is full", () => {
  const parser = new EventStreamParser();
  const piece = "x".repeat(1024 * 1024);
  assert.throws(() => {
    for (let count = 0; count < 6; count += 1) parser.push(piece);
  }, RangeError);
});
