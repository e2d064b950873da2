/** The live connection: one `GET live` that is read for as long as it lasts, resumed where it broke off. */

import { address } from "./client.ts";
import { EventStreamParser, type StreamEvent } from "./event_stream.ts";

export const LIVE_KINDS = "reading,tap,alert,device,status";

/** `live` only after the gateway has answered; `refused`: the key is not valid any more. */
export type LiveState = "connecting" | "live" | "reconnecting" | "refused";

export interface LiveListener {
  /** A connection stands. `isResumed`: it goes on where the last one ended, so nothing was missed. */
  opened(isResumed: boolean): void;
  received(events: readonly StreamEvent[]): void;
  changed(state: LiveState): void;
}

/** The gateway speaks every second (`status`), a comment at least every 15 s; longer silence is a dead line. */
const LONGEST_SILENCE_MS = 20_000;
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8_000;

/** The pause before attempt number `attempt` (from 0): doubling, capped, and jittered so that screens do not return in step. */
export function delayMs(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
  return full * (0.5 + random() / 2);
}

export class LiveConnection {
  readonly #key: string;
  readonly #listener: LiveListener;
  readonly #ended = new AbortController();
  #lastEventId = "";
  #attempt = 0;
  #wake: () => void = () => undefined;

  constructor(key: string, listener: LiveListener) {
    this.#key = key;
    this.#listener = listener;
  }

  /** Keeps a connection until `stop`, or until the key is refused. */
  async run(): Promise<void> {
    const retryNow = (): void => this.#wake();
    window.addEventListener("online", retryNow, { signal: this.#ended.signal });
    this.#listener.changed("connecting");
    while (!this.#ended.signal.aborted) {
      const outcome = await this.#connectOnce();
      if (this.#ended.signal.aborted) return;
      if (outcome === "refused") {
        this.#listener.changed("refused");
        return;
      }
      this.#listener.changed("reconnecting");
      await this.#pause(delayMs(this.#attempt));
      this.#attempt += 1;
    }
  }

  stop(): void {
    this.#ended.abort();
    this.#wake();
  }

  async #connectOnce(): Promise<"broken" | "refused"> {
    const line = new AbortController();
    const hangUp = (): void => line.abort();
    this.#ended.signal.addEventListener("abort", hangUp, { once: true });
    let watchdog = setTimeout(hangUp, LONGEST_SILENCE_MS);
    try {
      const headers: Record<string, string> = {
        Authorization: `Bearer ${this.#key}`,
        Accept: "text/event-stream",
      };
      if (this.#lastEventId !== "") headers["Last-Event-ID"] = this.#lastEventId;
      const response = await fetch(address("live", { kinds: LIVE_KINDS }), {
        headers,
        cache: "no-store",
        signal: line.signal,
      });
      if (response.status === 401) return "refused";
      if (!response.ok || response.body === null) return "broken";
      this.#listener.changed("live");
      this.#listener.opened(this.#lastEventId !== "");
      const parser = new EventStreamParser();
      parser.lastEventId = this.#lastEventId;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
        clearTimeout(watchdog);
        watchdog = setTimeout(hangUp, LONGEST_SILENCE_MS);
        const events = parser.push(chunk.value);
        this.#lastEventId = parser.lastEventId;
        if (events.length > 0) {
          this.#attempt = 0;
          this.#listener.received(events);
        }
      }
      return "broken";
    } catch {
      return "broken"; // refused, reset, or silent for too long: what follows is the same
    } finally {
      clearTimeout(watchdog);
      this.#ended.signal.removeEventListener("abort", hangUp);
      line.abort();
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
