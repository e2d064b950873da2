/** Who is signed in: one key, kept for the life of the tab. */

import { signal, type ReadonlySignal } from "@preact/signals";

import { Client, Refused, Unreachable } from "../gateway/client.ts";
import type { Status } from "../gateway/shapes.ts";
import { School } from "./school.ts";

const STORED_AS = "schoolgate.key";

export type SignInProblem = "wrong" | "forbidden" | "unreachable" | "ended";

export class Session {
  readonly #school = signal<School | null>(null);
  readonly #problem = signal<SignInProblem | null>(null);
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** null while nobody is signed in. */
  get school(): ReadonlySignal<School | null> {
    return this.#school;
  }

  get problem(): ReadonlySignal<SignInProblem | null> {
    return this.#problem;
  }

  /** Goes on with the key that this tab was signed in with, if there is one. */
  resume(): void {
    const key = this.#storage.getItem(STORED_AS);
    if (key !== null) this.#enter(key);
  }

  /** Tries the key; whether it was right shows in `school` and `problem`. */
  async signIn(key: string): Promise<void> {
    this.#problem.value = null;
    try {
      await new Client(key).get<Status>("status");
    } catch (error) {
      if (error instanceof Unreachable) this.#problem.value = "unreachable";
      else if (error instanceof Refused)
        this.#problem.value = error.status === 403 ? "forbidden" : signInProblem(error);
      else throw error;
      return;
    }
    this.#storage.setItem(STORED_AS, key);
    this.#enter(key);
  }

  signOut(problem: SignInProblem | null = null): void {
    this.#storage.removeItem(STORED_AS);
    this.#school.value?.stop();
    this.#school.value = null;
    this.#problem.value = problem;
  }

  #enter(key: string): void {
    this.#school.value?.stop();
    const end = (): void => this.signOut("ended");
    const school = new School(new Client(key, end), end);
    this.#school.value = school;
    school.start();
  }
}

function signInProblem(error: Refused): SignInProblem {
  return error.status === 401 || error.status === 422 || error.status === 400 ? "wrong" : "unreachable";
}
