/** Figures as SVG paths. Pure. */

export const WIDTH = 300;
export const HEIGHT = 40;

/** SVG paths for the values from zero up; the highest value touches the top. */
export function course(values: readonly (number | null)[], places: number): { line: string; area: string } {
  const highest = Math.max(...values.map((value) => value ?? 0), 0) || 1;
  const step = WIDTH / Math.max(places - 1, 1);
  const first = WIDTH - (values.length - 1) * step;
  let line = "";
  let area = "";
  let start: number | null = null;
  values.forEach((value, index) => {
    if (value === null) {
      if (start !== null) area += `V${HEIGHT}H${rounded(start)}Z`;
      start = null;
      return;
    }
    const x = first + index * step;
    const point = `${rounded(x)} ${rounded(HEIGHT - 1 - (value / highest) * (HEIGHT - 3))}`;
    line += `${start === null ? "M" : "L"}${point}`;
    area += start === null ? `M${rounded(x)} ${HEIGHT}L${point}` : `L${point}`;
    start ??= x;
  });
  if (start !== null) area += `V${HEIGHT}H${rounded(start)}Z`;
  return { line, area };
}

function rounded(length: number): number {
  return Math.round(length * 10) / 10;
}
