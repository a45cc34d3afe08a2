/** A preview offers the running month and as many before it. */
const MONTHS_BEFORE = 12;

/** The running month and those before it, such as `2026-10`, the last one first. */
export function pastMonths(now: Date): string[] {
  return Array.from({ length: MONTHS_BEFORE + 1 }, (_, before) => {
    const month = new Date(Date.UTC(now.getFullYear(), now.getMonth() - before, 1));
    return month.toISOString().slice(0, 7);
  });
}
