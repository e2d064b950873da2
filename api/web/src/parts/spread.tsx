/** Every current value of one measurement as a tick between the lowest and the highest. */

interface SpreadProps {
  /** In rising order. */
  values: readonly number[];
  median: number | null;
  label: string;
}

const WIDTH = 200;

export function Spread({ values, median, label }: SpreadProps) {
  const low = values[0] ?? 0;
  const high = values.at(-1) ?? 0;
  const place = (value: number): number =>
    high === low ? WIDTH / 2 : Math.round((2 + ((value - low) / (high - low)) * (WIDTH - 4)) * 2) / 2;
  const places = new Set(values.map(place)); // ticks on one spot are drawn once
  return (
    <svg class="spread" viewBox={`0 0 ${WIDTH} 16`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="base" d={`M0 15.5H${WIDTH}`} />
      <path class="ticks" d={Array.from(places, (x) => `M${x} 4V13`).join("")} />
      {median === null ? null : <path class="median" d={`M${place(median)} 0V16`} />}
    </svg>
  );
}
