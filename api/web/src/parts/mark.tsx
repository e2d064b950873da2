/** A state as a shape, a colour and a word: whoever cannot see one of them still has the others. */

import type { ComponentChildren } from "preact";

import type { AlertState, Clock, Device, Severity } from "../gateway/shapes.ts";
import { useWords } from "../desk.ts";

type Tone = "good" | "bad" | "warn" | "unknown" | "idle";
type Shape = "disc" | "ring" | "triangle" | "question" | "check" | "bar";

const SHAPES: Readonly<Record<Shape, preact.JSX.Element>> = {
  disc: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  ring: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.8" />,
  triangle: <path d="M6 1 11.5 11H.5z" fill="currentColor" />,
  question: (
    <path
      d="M3.6 4.2a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.2.8-1.2 1.6M6 10.4v.2"
      fill="none"
      stroke="currentColor"
      stroke-width="1.9"
      stroke-linecap="round"
    />
  ),
  check: (
    <path d="M1.5 6.5 4.6 9.6 10.6 2.6" fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round" />
  ),
  bar: <path d="M2 6h8" stroke="currentColor" stroke-width="2" stroke-linecap="round" />,
};

interface MarkProps {
  tone: Tone;
  shape: Shape;
  hint?: string;
  /** The word stays for readers of the screen, but is not drawn. */
  isWordHidden?: boolean;
  children: ComponentChildren;
}

export function Mark({ tone, shape, hint, isWordHidden = false, children }: MarkProps) {
  return (
    <span class={`mark ${tone}`} {...(hint === undefined ? {} : { title: hint })}>
      <svg viewBox="0 0 12 12" aria-hidden="true" focusable="false">
        {SHAPES[shape]}
      </svg>
      <span class={isWordHidden ? "unseen" : ""}>{children}</span>
    </span>
  );
}

export function ConnectionMark({ device, isWordHidden = false }: { device: Device; isWordHidden?: boolean }) {
  const { t } = useWords();
  const word = { isWordHidden };
  if (device.online === null)
    return (
      <Mark tone="idle" shape="bar" {...word}>
        {t.devices.never_said}
      </Mark>
    );
  return device.online ? (
    <Mark tone="good" shape="disc" {...word}>
      {t.devices.online}
    </Mark>
  ) : (
    <Mark tone="warn" shape="ring" {...word}>
      {t.devices.offline}
    </Mark>
  );
}

const ALERT_LOOKS: Readonly<Record<AlertState, { tone: Tone; shape: Shape }>> = {
  firing: { tone: "bad", shape: "triangle" },
  acknowledged: { tone: "warn", shape: "check" },
  pending: { tone: "idle", shape: "ring" },
  unknown: { tone: "unknown", shape: "question" },
  resolved: { tone: "good", shape: "check" },
};

export function AlertMark({ state, severity }: { state: AlertState; severity: Severity }) {
  const { t } = useWords();
  const look = ALERT_LOOKS[state];
  const tone = state === "firing" && severity !== "critical" ? (severity === "warning" ? "warn" : "idle") : look.tone;
  return (
    <Mark tone={tone} shape={look.shape} hint={t.alerts.state_hints[state]}>
      {t.alerts.states[state]}
    </Mark>
  );
}

export function SeverityMark({ severity }: { severity: Severity }) {
  const { t } = useWords();
  return <span class={`tag severity-${severity}`}>{t.alerts.severities[severity]}</span>;
}

/** Nothing while the time is sure: only doubt needs a word. */
export function ClockNote({ clock }: { clock: Clock }) {
  const { t } = useWords();
  if (clock === "good") return null;
  return (
    <span class="clock-note" title={t.clock.hint[clock]}>
      {t.clock[clock]}
    </span>
  );
}
