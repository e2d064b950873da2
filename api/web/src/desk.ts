/** What every part of the console can reach: session, route, words, theme, notices. Built once, in main. */

import { computed, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";

import { Refused, Unreachable } from "./gateway/client.ts";
import { keyInAddress, parseRoute, type Route } from "./route.ts";
import type { School } from "./school/school.ts";
import { Session } from "./school/session.ts";
import { isLanguage, preferred, words, type Language, type Words } from "./texts/language.ts";

export type Theme = "light" | "dark";

export interface Notice {
  number: number;
  text: string;
  isProblem: boolean;
}

const THEME_STORED_AS = "schoolgate.theme";
const LANGUAGE_STORED_AS = "schoolgate.language";
const NOTICE_MS = 6_000;
const PROBLEM_MS = 12_000;

export class Desk {
  readonly session: Session;
  readonly theme: ReadonlySignal<Theme>;
  readonly words: ReadonlySignal<Words>;
  readonly notices = signal<readonly Notice[]>([]);
  readonly #route: Signal<Route>;
  readonly #chosenTheme: Signal<Theme | null>;
  readonly #language: Signal<Language>;
  readonly #window: Window;
  #noticeNumber = 0;

  constructor(window: Window) {
    this.#window = window;
    this.session = new Session(window.sessionStorage);
    this.#route = signal(parseRoute(window.location.hash));
    this.#chosenTheme = signal(storedTheme(window.localStorage));
    this.#language = signal(storedLanguage(window));
    this.words = computed(() => words(this.#language.value, window.navigator.languages));
    const darkSystem = window.matchMedia("(prefers-color-scheme: dark)");
    const isSystemDark = signal(darkSystem.matches);
    darkSystem.addEventListener("change", () => (isSystemDark.value = darkSystem.matches));
    this.theme = computed(() => this.#chosenTheme.value ?? (isSystemDark.value ? "dark" : "light"));
  }

  get route(): ReadonlySignal<Route> {
    return this.#route;
  }

  /** Follows the address; a key in it is taken out before anything else happens, and signed in with. */
  start(): void {
    this.#window.addEventListener("hashchange", () => this.#followAddress());
    this.session.resume();
    this.#followAddress();
  }

  chooseTheme(theme: Theme): void {
    this.#chosenTheme.value = theme;
    this.#window.localStorage.setItem(THEME_STORED_AS, theme);
  }

  chooseLanguage(language: Language): void {
    this.#language.value = language;
    this.#window.localStorage.setItem(LANGUAGE_STORED_AS, language);
  }

  go(hash: string): void {
    this.#window.location.hash = hash;
  }

  say(text: string, isProblem = false): void {
    const number = ++this.#noticeNumber;
    this.notices.value = [...this.notices.value.slice(-3), { number, text, isProblem }];
    setTimeout(() => this.dismiss(number), isProblem ? PROBLEM_MS : NOTICE_MS);
  }

  dismiss(number: number): void {
    this.notices.value = this.notices.value.filter((notice) => notice.number !== number);
  }

  /** Does what the reader asked for; what goes wrong is said. Returns null then. */
  async attempt<Answer>(call: () => Promise<Answer>): Promise<{ answer: Answer } | null> {
    try {
      return { answer: await call() };
    } catch (error) {
      this.say(this.explain(error), true);
      return null;
    }
  }

  /** What went wrong, in the reader's words. Raises what no call of the gateway can bring. */
  explain(error: unknown): string {
    const { problem } = this.words.value.t;
    if (error instanceof Unreachable) return problem.unreachable;
    if (!(error instanceof Refused)) throw error;
    return error.status === 403 ? problem.forbidden : problem.failed(error.message);
  }

  #followAddress(): void {
    const { location, history } = this.#window;
    const key = keyInAddress(location.hash);
    if (key === null) {
      this.#route.value = parseRoute(location.hash);
      return;
    }
    history.replaceState(null, "", location.pathname + location.search);
    this.#route.value = parseRoute("");
    void this.session.signIn(key);
  }
}

function storedTheme(storage: Storage): Theme | null {
  const stored = storage.getItem(THEME_STORED_AS);
  return stored === "light" || stored === "dark" ? stored : null;
}

function storedLanguage(window: Window): Language {
  const stored = window.localStorage.getItem(LANGUAGE_STORED_AS);
  return isLanguage(stored) ? stored : preferred(window.navigator.languages);
}

export const DeskContext = createContext<Desk | null>(null);
export const SchoolContext = createContext<School | null>(null);

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (desk === null) throw new Error("there is no desk around this part");
  return desk;
}

export function useWords(): Words {
  return useDesk().words.value;
}

export function useSchool(): School {
  const school = useContext(SchoolContext);
  if (school === null) throw new Error("nobody is signed in around this part");
  return school;
}
