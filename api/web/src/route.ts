/** Where in the console one is: the part of the address after `#`. Pure. */

export type RangeName = "1h" | "24h" | "7d";

export const RANGE_NAMES: readonly RangeName[] = ["1h", "24h", "7d"];

export type Route =
  | { page: "overview" }
  | { page: "devices"; filter: string; show: string }
  | { page: "device"; id: string; range: RangeName }
  | { page: "attendance"; filter: string }
  | { page: "people"; filter: string }
  | { page: "alerts"; show: string }
  | { page: "rules" }
  | { page: "dead-letters" }
  | { page: "not-found" };

/** Reads `#/devices/lab-1?range=24h`; an address without a path is the overview. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const steps = path.split("/").map(decoded);
  const parameters = new URLSearchParams(query);
  const asked = (name: string): string => parameters.get(name) ?? "";
  const [page = "", id = ""] = steps;
  if (steps.length === 2 && page === "devices" && id !== "") {
    const range = RANGE_NAMES.find((name) => name === asked("range")) ?? "1h";
    return { page: "device", id, range };
  }
  switch (steps.join("/")) {
    case "":
    case "overview":
      return { page: "overview" };
    case "devices":
      return { page: "devices", filter: asked("filter"), show: asked("show") };
    case "attendance":
      return { page: "attendance", filter: asked("filter") };
    case "attendance/people":
      return { page: "people", filter: asked("filter") };
    case "alerts":
      return { page: "alerts", show: asked("show") };
    case "alerts/rules":
      return { page: "rules" };
    case "dead-letters":
      return { page: "dead-letters" };
    default:
      return { page: "not-found" };
  }
}

export const to = {
  overview: "#/overview",
  devices: (query: { filter?: string; show?: string } = {}): string => withQuery("#/devices", query),
  device: (id: string, range: RangeName = "1h"): string =>
    withQuery(`#/devices/${encodeURIComponent(id)}`, range === "1h" ? {} : { range }),
  attendance: "#/attendance",
  people: "#/attendance/people",
  alerts: (query: { show?: string } = {}): string => withQuery("#/alerts", query),
  rules: "#/alerts/rules",
  deadLetters: "#/dead-letters",
} as const;

/** The same for two routes that show the same page, whatever is filtered on it. */
export function placeOf(route: Route): string {
  return route.page === "device" ? `device ${route.id}` : route.page;
}

/** The key that a link like `/#key=…` carries, null if the address carries none. */
export function keyInAddress(hash: string): string | null {
  const found = /^#key=(.+)$/.exec(hash)?.[1];
  return found === undefined ? null : decoded(found).trim();
}

function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, value);
  return parameters.size > 0 ? `${path}?${parameters.toString()}` : path;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % is what somebody typed
  }
}
