/** A path through `edges` that comes back to where it began, or nothing. Looks at every start. */
export function findCycle(edges: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): readonly string[] | undefined => {
    const before = path.indexOf(node);
    if (before >= 0) return [...path.slice(before), node];
    if (done.has(node)) return undefined;
    path.push(node);
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(node);
    return undefined;
  };
  for (const start of edges.keys()) {
    const cycle = visit(start);
    if (cycle) return cycle;
  }
  return undefined;
}
