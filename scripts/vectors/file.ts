/** What every file of vectors holds: what it is about, sound cases, and cases that must be refused. */
export interface Vectors<V, I> {
  readonly about: string;
  /** What all cases share. */
  readonly given?: Readonly<Record<string, unknown>>;
  readonly valid: readonly V[];
  readonly invalid: readonly I[];
}

/** JSON with amounts as decimal texts, two spaces deep. */
export function vectorText(vectors: Vectors<unknown, unknown>): string {
  const plain = (_key: string, value: unknown): unknown =>
    typeof value === 'bigint' ? String(value) : value;
  return `${JSON.stringify(vectors, plain, 2)}\n`;
}
