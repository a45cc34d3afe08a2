const FIRST_MS = 500;
const LONGEST_MS = 10_000;

/**
 * How long to wait before the next attempt to connect, in milliseconds, after a number of failed ones from 1 on. It doubles up to
 * ten seconds; `random`, from 0 to 1, spreads the pages of a fleet of readers over the second half of it.
 */
export function backoffMs(failed: number, random: number): number {
  const whole = Math.min(FIRST_MS * 2 ** Math.min(failed - 1, 16), LONGEST_MS);
  return Math.round(whole / 2 + (whole / 2) * random);
}
