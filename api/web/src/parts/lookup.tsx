/** A word of the catalogue for a name that the gateway gave, or the name itself where there is none. */
export function Lookup({ record, name }: { record: Readonly<Record<string, string>>; name: string }) {
  return <>{Object.hasOwn(record, name) ? record[name] : name}</>;
}
