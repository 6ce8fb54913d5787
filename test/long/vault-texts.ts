/** The document that step `step` writes: several chunks, words of its own and common ones. */
export function textOf(step: number): string {
  const part = (i: number): string =>
    `## Part ${i}\n\n${`Step${step} says that voucher number${step * 10 + i} of channel${step % 5} rises. `.repeat(3)}`;
  return [`# Document ${step}`, ...Array.from({ length: 1 + (step % 6) }, (_, i) => part(i))].join('\n\n');
}
