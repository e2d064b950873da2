/** Numbers, times and plurals in the words of one locale, through Intl. Pure: the present moment is passed in. */

export interface PluralForms {
  one: string;
  other: string;
  /** Languages with more forms than English and German give them here. */
  zero?: string;
  two?: string;
  few?: string;
  many?: string;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const AGE_STEPS: readonly [Intl.RelativeTimeFormatUnit, number, number][] = [
  ["second", SECOND_MS, 90 * SECOND_MS],
  ["minute", MINUTE_MS, 90 * MINUTE_MS],
  ["hour", HOUR_MS, 36 * HOUR_MS],
  ["day", DAY_MS, Infinity],
];

const LENGTH_STEPS: readonly [string, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

const BYTE_STEPS: readonly [string, number][] = [
  ["byte", 1],
  ["kilobyte", 1e3],
  ["megabyte", 1e6],
  ["gigabyte", 1e9],
];

export class Formats {
  readonly locale: string;
  readonly #timeZone: string | undefined;
  readonly #numbers = new Map<string, Intl.NumberFormat>();
  readonly #plurals: Intl.PluralRules;
  readonly #ages: Intl.RelativeTimeFormat;
  readonly #lists: Intl.ListFormat;
  readonly #clock: Intl.DateTimeFormat;
  readonly #minutes: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #date: Intl.DateTimeFormat;
  readonly #weekday: Intl.DateTimeFormat;
  readonly #exact: Intl.DateTimeFormat;
  readonly #collator: Intl.Collator;

  /** `timeZone`: an IANA name; without it that of the machine the reader sits at. */
  constructor(locale: string, timeZone?: string) {
    this.locale = locale;
    this.#timeZone = timeZone;
    this.#plurals = new Intl.PluralRules(locale);
    this.#ages = new Intl.RelativeTimeFormat(locale, { style: "short", numeric: "always" });
    this.#lists = new Intl.ListFormat(locale, { type: "conjunction" });
    this.#clock = this.#dates({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    this.#minutes = this.#dates({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    this.#day = this.#dates({ day: "numeric", month: "short" });
    this.#date = this.#dates({ dateStyle: "medium" });
    this.#weekday = this.#dates({ weekday: "short", day: "numeric" });
    this.#exact = this.#dates({ dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });
    this.#collator = new Intl.Collator(locale, { numeric: true, sensitivity: "base" });
  }

  number(value: number, digits = 0): string {
    const style = { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" } as const;
    return this.#number(`fixed ${digits}`, style, value);
  }

  /** At most four significant digits: for measurements whose precision nobody told. */
  figure(value: number): string {
    return this.#number("figure", { maximumSignificantDigits: 4 }, value);
  }

  percent(share: number): string {
    return this.#number("percent", { style: "percent", maximumFractionDigits: 0 }, share);
  }

  bytes(count: number): string {
    const [unit, size] = BYTE_STEPS.findLast(([, least]) => count >= least) ?? ["byte", 1];
    const style = {
      style: "unit",
      unit,
      unitDisplay: size === 1 ? "long" : "short",
      maximumFractionDigits: 1,
    } as const;
    return this.#number(unit, style, count / size);
  }

  /** A length of time as it was set, exactly: 90 seconds stay 90 seconds. */
  seconds(count: number): string {
    const [unit, size] = LENGTH_STEPS.find(([, least]) => count >= 2 * least && count % least === 0) ?? ["second", 1];
    return this.#number(unit, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 3 }, count / size);
  }

  /** A length of time as it turned out, in the unit that fits. */
  roughly(seconds: number): string {
    const [unit, size] = LENGTH_STEPS.find(([, least]) => seconds >= 2 * least) ?? ["second", 1];
    const digits = seconds / size < 10 && size > 60 ? 1 : 0;
    const style = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits } as const;
    return this.#number(`roughly ${unit} ${digits}`, style, seconds / size);
  }

  milliseconds(count: number): string {
    const digits = count < 10 ? 1 : 0;
    const style = { style: "unit", unit: "millisecond", unitDisplay: "short", maximumFractionDigits: digits } as const;
    return this.#number(`ms ${digits}`, style, count);
  }

  plural(count: number, forms: PluralForms): string {
    return forms[this.#plurals.select(count)] ?? forms.other;
  }

  list(items: readonly string[]): string {
    return this.#lists.format(items);
  }

  /** How long before `nowMs` a moment was, in one unit. A moment in the future is not turned into the past. */
  age(atMs: number, nowMs: number): string {
    const elapsed = nowMs - atMs;
    const [unit, size] = AGE_STEPS.find(([, , below]) => Math.abs(elapsed) < below) ?? ["day", DAY_MS];
    return this.#ages.format(-Math.round(elapsed / size) || -0, unit);
  }

  /** `08:03:21` */
  clock(atMs: number): string {
    return this.#clock.format(atMs);
  }

  /** `08:03` */
  minute(atMs: number): string {
    return this.#minutes.format(atMs);
  }

  /** `Mon 23` */
  weekday(atMs: number): string {
    return this.#weekday.format(atMs);
  }

  /** The time of day for a moment of the same day, with the day in front for any other; long ago, the date. */
  moment(atMs: number, nowMs: number): string {
    if (Math.abs(nowMs - atMs) > 300 * DAY_MS) return this.#date.format(atMs);
    const day = this.#day.format(atMs);
    const isToday = day === this.#day.format(nowMs) && Math.abs(nowMs - atMs) < 2 * DAY_MS;
    return isToday ? this.clock(atMs) : `${day}, ${this.minute(atMs)}`;
  }

  /** Everything about a moment, for a tooltip. */
  exact(atMs: number): string {
    return this.#exact.format(atMs);
  }

  compare = (left: string, right: string): number => this.#collator.compare(left, right);

  #dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    return new Intl.DateTimeFormat(
      this.locale,
      this.#timeZone === undefined ? options : { ...options, timeZone: this.#timeZone },
    );
  }

  #number(name: string, options: Intl.NumberFormatOptions, value: number): string {
    let format = this.#numbers.get(name);
    if (format === undefined) {
      format = new Intl.NumberFormat(this.locale, options);
      this.#numbers.set(name, format);
    }
    return format.format(value);
  }
}

/** Midnight before `atMs` in the time zone, or where the reader sits; in ms since 1970. */
export function startOfDay(atMs: number, timeZone?: string): number {
  if (timeZone !== undefined) {
    const parts = new Intl.DateTimeFormat("en", {
      timeZone,
      hourCycle: "h23",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    }).formatToParts(atMs);
    const part = (type: string) => Number(parts.find((one) => one.type === type)?.value ?? 0);
    return atMs - (atMs % 1_000) - ((part("hour") * 60 + part("minute")) * 60 + part("second")) * 1_000;
  }
  const day = new Date(atMs);
  day.setHours(0, 0, 0, 0);
  return day.getTime();
}
