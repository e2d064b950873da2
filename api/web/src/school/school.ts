/** All that the console knows of the school, kept current by the live connection. */

import { batch, computed, signal, type ReadonlySignal } from "@preact/signals";

import type { Client } from "../gateway/client.ts";
import type { StreamEvent } from "../gateway/event_stream.ts";
import { LiveConnection, type LiveListener, type LiveState } from "../gateway/live.ts";
import type { Alert, DeadLetter, Device, Person, Reading, Rule, Status, Tap } from "../gateway/shapes.ts";
import { startOfDay } from "../texts/formats.ts";
import { attendance, hasFreshUnknown, newestFirst, type Attendance } from "./attendance.ts";
import { Book, failure, type Loading } from "./book.ts";
import { Pulse } from "./pulse.ts";
import { SeriesBook } from "./series.ts";

/** More taps than this in one day are not kept on the screen. */
const MOST_TAPS = 20_000;
const SHOWN_EVERY_MS = 50;
/** Nothing live tells that a card has found its owner, so while there are fresh unknown ones it is asked for. */
const NAMES_EVERY_MS = 15_000;
const MOST_DEAD_LETTERS = 2_000;
const MOST_RESOLVED = 1_000;

export class School implements LiveListener {
  readonly client: Client;
  readonly devices = new Book<Device>();
  readonly taps = new Book<Tap>();
  readonly alerts = new Book<Alert>();
  readonly people = new Book<Person>();
  readonly rules = new Book<Rule>();
  readonly deadLetters = new Book<DeadLetter>();
  readonly series = new SeriesBook();
  readonly pulse = new Pulse();
  readonly seriesLoading = signal<Loading>({ phase: "loading" });
  readonly resolvedLoading = signal<Loading>({ phase: "loading" });
  readonly areTapsWhole = signal(true);
  readonly tapsNewestFirst: ReadonlySignal<readonly Tap[]>;
  /** The newest tap of today for each person who has one. */
  readonly lastTaps: ReadonlySignal<ReadonlyMap<string, Tap>>;
  readonly attendance: ReadonlySignal<Attendance>;
  readonly #live = signal<LiveState>("connecting");
  readonly #connection: LiveConnection;
  readonly #onKeyRefused: () => void;
  #isFrameAsked = false;
  #shownMs = -Infinity;
  #isLoaded = false;
  #namesAskedMs = 0;
  #day = startOfDay(Date.now());

  constructor(client: Client, onKeyRefused: () => void) {
    this.client = client;
    this.#onKeyRefused = onKeyRefused;
    this.#connection = new LiveConnection(client.key, this);
    this.tapsNewestFirst = computed(() =>
      [...this.taps.items.value.values()].filter((tap) => Date.parse(tap.at) >= this.#day).sort(newestFirst),
    );
    this.lastTaps = computed(() => {
      const last = new Map<string, Tap>();
      for (const tap of this.tapsNewestFirst.value) {
        if (tap.person !== null && !last.has(tap.person.id)) last.set(tap.person.id, tap);
      }
      return last;
    });
    this.attendance = computed(() => attendance(this.tapsNewestFirst.value));
  }

  get live(): ReadonlySignal<LiveState> {
    return this.#live;
  }

  start(): void {
    this.pulse.start();
    void this.#connection.run();
  }

  stop(): void {
    this.#connection.stop();
    this.pulse.stop();
    this.series.stop();
  }

  /** The stream opens first and the lists are read after it, so that nothing falls between the two. */
  opened(isResumed: boolean): void {
    if (!isResumed || !this.#isLoaded) void this.reload();
  }

  changed(state: LiveState): void {
    this.#live.value = state;
    if (state === "refused") this.#onKeyRefused();
  }

  received(events: readonly StreamEvent[]): void {
    for (const event of events) this.#accept(event);
    this.#askForFrame();
  }

  async reload(): Promise<void> {
    this.#isLoaded = true;
    await Promise.all([
      this.loadStatus(),
      this.loadSeries(),
      this.devices.load(() => this.#whole<Device>("devices")),
      this.alerts.load(() => this.#whole<Alert>("alerts", { state: "open" })),
      this.loadTaps(),
    ]);
  }

  async loadStatus(): Promise<void> {
    try {
      this.pulse.accept(await this.client.get<Status>("status"));
      this.#askForFrame();
    } catch (error) {
      failure(error); // the live connection brings the next one; anything unforeseen is raised
    }
  }

  async loadSeries(): Promise<void> {
    try {
      const readings = await this.#whole<Reading>("readings/latest");
      batch(() => {
        for (const reading of readings) this.series.accept(reading);
        this.series.flush();
        this.seriesLoading.value = { phase: "ready" };
      });
    } catch (error) {
      this.seriesLoading.value = failure(error);
    }
  }

  /** Adds alerts that are over to the open ones; nothing but the list of them needs them. */
  async loadResolvedAlerts(): Promise<void> {
    try {
      const { items } = await this.client.list<Alert>("alerts", { state: "resolved" }, MOST_RESOLVED);
      for (const alert of items) if (!this.alerts.items.peek().has(alert.id)) this.alerts.accept(alert);
      this.alerts.flush();
      this.resolvedLoading.value = { phase: "ready" };
    } catch (error) {
      this.resolvedLoading.value = failure(error);
    }
  }

  loadTaps(): Promise<void> {
    const from = new Date(this.#day).toISOString();
    return this.taps.load(async () => {
      const { items, isWhole } = await this.client.list<Tap>("taps", { from }, MOST_TAPS);
      this.areTapsWhole.value = isWhole;
      return items;
    });
  }

  loadPeople(): Promise<void> {
    return this.people.load(() => this.#whole<Person>("people"));
  }

  loadRules(): Promise<void> {
    return this.rules.load(() => this.#whole<Rule>("rules"));
  }

  loadDeadLetters(): Promise<void> {
    return this.deadLetters.load(
      async () => (await this.client.list<DeadLetter>("dead-letters", {}, MOST_DEAD_LETTERS)).items,
    );
  }

  /** The name that people know a device by. */
  deviceName(id: string): string {
    return this.devices.items.value.get(id)?.name || id;
  }

  async #whole<Item>(path: string, query: Record<string, string> = {}): Promise<Item[]> {
    return (await this.client.list<Item>(path, query)).items;
  }

  #accept(event: StreamEvent): void {
    switch (event.kind) {
      case "reading":
        this.series.accept(JSON.parse(event.data) as Reading);
        break;
      case "tap":
        this.taps.accept(JSON.parse(event.data) as Tap);
        break;
      case "alert":
        this.alerts.accept(JSON.parse(event.data) as Alert);
        break;
      case "device":
        this.devices.accept(JSON.parse(event.data) as Device);
        break;
      case "status":
        this.pulse.accept(JSON.parse(event.data) as Status);
        break;
      case "reset": // events were lost for this reader
        void this.reload();
        break;
      default: // a kind that this console does not know yet
    }
  }

  /**
   * The first event after a pause is shown with the next frame; in a stream of them, all that came within 50 ms is
   * shown at once. A hidden page has no frames: there it is by the second.
   */
  #askForFrame(): void {
    if (this.#isFrameAsked) return;
    this.#isFrameAsked = true;
    const waitMs = Math.max(0, this.#shownMs + SHOWN_EVERY_MS - performance.now());
    setTimeout(() => {
      const show = (): void => {
        cancelAnimationFrame(frame);
        clearTimeout(timer);
        this.#isFrameAsked = false;
        this.#shownMs = performance.now();
        this.#flush();
      };
      const frame = requestAnimationFrame(show);
      const timer = setTimeout(show, 1_000);
    }, waitMs);
  }

  #flush(): void {
    batch(() => {
      this.pulse.flush();
      this.series.flush();
      this.devices.flush();
      this.alerts.flush();
      this.taps.flush();
    });
    const nowMs = this.pulse.now.peek();
    const day = startOfDay(nowMs, this.pulse.status.peek()?.timezone ?? undefined);
    if (day !== this.#day) {
      this.#day = day;
      void this.loadTaps();
    } else if (nowMs - this.#namesAskedMs > NAMES_EVERY_MS && hasFreshUnknown(this.tapsNewestFirst.peek(), nowMs)) {
      this.#namesAskedMs = nowMs;
      void this.loadTaps();
    }
  }
}
