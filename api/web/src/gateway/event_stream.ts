/**
 * Reads `text/event-stream` (WHATWG HTML §9.2.6): characters in, events out; no I/O.
 *
 * Bytes may be cut anywhere, also between CR and LF. An event without data is not dispatched, but its id counts.
 */

export interface StreamEvent {
  kind: string;
  data: string;
  /** The last id that the stream has given, with this event or before it. */
  id: string;
}

const LINE_END = /\r\n|\r|\n/g;

/** A line longer than this is no event of ours. */
const LONGEST_LINE = 4 * 1024 * 1024;

export class EventStreamParser {
  lastEventId = "";
  /** What the stream asks to wait before a new connection, in milliseconds; null when it never said. */
  retryMs: number | null = null;
  #rest = "";
  #afterCarriageReturn = false;
  #isFirst = true;
  #kind = "";
  #data: string[] = [];

  /** Returns the events that `text` completes, in order. Raises RangeError on a line that never ends. */
  push(text: string): StreamEvent[] {
    let input = text;
    if (this.#isFirst && input !== "") {
      this.#isFirst = false;
      if (input.startsWith("\uFEFF")) input = input.slice(1);
    }
    if (this.#afterCarriageReturn && input !== "") {
      this.#afterCarriageReturn = false;
      if (input.startsWith("\n")) input = input.slice(1);
    }
    const events: StreamEvent[] = [];
    input = this.#rest + input;
    let start = 0;
    for (const end of input.matchAll(LINE_END)) {
      this.#line(input.slice(start, end.index), events);
      start = end.index + end[0].length;
      if (end[0] === "\r" && start === input.length) this.#afterCarriageReturn = true;
    }
    this.#rest = input.slice(start);
    if (this.#rest.length > LONGEST_LINE) throw new RangeError("a line of the event stream never ends");
    return events;
  }

  #line(line: string, events: StreamEvent[]): void {
    if (line === "") {
      this.#dispatch(events);
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment: it keeps the connection alive
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    switch (field) {
      case "event":
        this.#kind = value;
        break;
      case "data":
        this.#data.push(value);
        break;
      case "id":
        if (!value.includes("\0")) this.lastEventId = value;
        break;
      case "retry":
        if (/^[0-9]+$/.test(value)) this.retryMs = Number(value);
        break;
      default: // unknown fields are ignored
    }
  }

  #dispatch(events: StreamEvent[]): void {
    if (this.#data.length > 0) {
      events.push({ kind: this.#kind || "message", data: this.#data.join("\n"), id: this.lastEventId });
    }
    this.#kind = "";
    this.#data = [];
  }
}
