/** What the gateway sends and takes, field by field as its API writes it. Times are RFC 3339 in UTC. */

export type Time = string;

export type Clock = "good" | "estimated" | "unknown";

export interface Page<Item> {
  items: Item[];
  next: string | null;
}

export type DeviceState = "active" | "seen" | "revoked";

export interface Device {
  id: string;
  kind: string;
  name: string;
  place: string;
  state: DeviceState;
  format: string;
  /** null: the device never said. */
  online: boolean | null;
  last_seen_at: Time | null;
  created_at: Time;
  publish: string[];
  subscribe: string[];
  kept_frames: number;
}

export interface DeviceSecret {
  id: string;
  secret: string;
}

export interface Adoption {
  device: Device;
  replayed: number;
}

export interface Reading {
  device: string;
  measurement: string;
  at: Time;
  value: number;
  clock: Clock;
}

/** A bucket of readings: `at` is where it starts, `value` what was asked for (mean, min, max …). */
export interface Bucket extends Reading {
  count: number;
}

export interface TapPerson {
  id: string;
  name: string;
  group: string | null;
}

export type Direction = "in" | "out";

export interface Tap {
  id: string;
  device: string;
  at: Time;
  received_at: Time;
  clock: Clock;
  person: TapPerson | null;
  credential_ref: string;
  direction: Direction | null;
  kind: string;
}

export interface Card {
  ref: string;
  kind: string;
}

export type CardKind = "uid" | "nfc" | "qr";

export interface Person {
  id: string;
  name: string;
  group: string | null;
  cards: Card[];
}

export interface Group {
  name: string;
  people: number;
}

export type Severity = "info" | "warning" | "critical";

export type AlertState = "pending" | "firing" | "acknowledged" | "resolved" | "unknown";

export interface Alert {
  id: string;
  rule: string;
  rule_name: string;
  /** `<device>` or `<device>/<measurement>`. */
  subject: string;
  state: AlertState;
  severity: Severity;
  since: Time;
  value: number | null;
  acknowledged_by: string | null;
  acknowledged_at: Time | null;
}

export type RuleKind = "threshold" | "silence";

export interface RuleDraft {
  name: string;
  kind: RuleKind;
  enabled: boolean;
  severity: Severity;
  device: string | null;
  device_kind: string | null;
  measurement?: string | null;
  above?: number | null;
  below?: number | null;
  clear?: number | null;
  for_s?: number | null;
  after_s?: number | null;
}

export interface Rule extends RuleDraft {
  id: string;
}

export interface DeadLetter {
  id: string;
  device: string | null;
  topic: string;
  reason: string;
  received_at: Time;
  /** Text, bytes that are no text escaped, cut at 4 KiB. */
  payload: string;
  size: number;
}

export interface Replay {
  replayed: boolean;
  reason: string | null;
}

export interface Status {
  node: string;
  /** The school's name; the node's where it has none. */
  school: string;
  /** Where the school's days begin; null: where the reader sits. */
  timezone: string | null;
  version: string;
  started_at: Time;
  now: Time;
  clock_right: boolean;
  ingest: {
    frames_total: number;
    frames_per_s: number;
    /** Median of the recent commits; null before the first. */
    commit_ms: number | null;
    queue_bytes: number;
    queue_cap_bytes: number;
    duplicates_total: number;
    dead_letters_total: number;
    refused_total: number;
  };
  mqtt: { connections: number };
  bridge: { state: "off" | "connected" | "connecting" | "deaf"; reason: string | null };
  devices: { active: number; online: number; seen: number };
  alerts: { firing: number; acknowledged: number; pending: number; unknown: number };
}

/** RFC 9457. */
export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail?: string;
  errors?: readonly ProblemField[];
}

export interface ProblemField {
  /** `body.name`, `query.limit` */
  field: string;
  detail: string;
}
