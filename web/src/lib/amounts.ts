/**
 * Exact decimals as the API sends them: texts such as `"0.009213"`, without an exponent. They are never converted to a float: sums,
 * comparisons and rounding work on integers of any size.
 */

/** A decimal: `units` divided by ten to the power of `scale`. */
export interface Decimal {
  readonly units: bigint;
  readonly scale: number;
}

const FORM = /^(-?)(\d+)(?:\.(\d+))?$/;

/** Reads a decimal. Throws an error that names the text if it is none. */
export function parseDecimal(text: string): Decimal {
  const parts = FORM.exec(text);
  if (!parts) {
    throw new Error(`${JSON.stringify(text)} is no decimal`);
  }
  const [, sign = '', whole = '0', fraction = ''] = parts;
  const units = BigInt(whole + fraction);
  return { units: sign === '-' ? -units : units, scale: fraction.length };
}

/** The units of a decimal at a scale that is not below its own. */
function unitsAt(decimal: Decimal, scale: number): bigint {
  return decimal.units * 10n ** BigInt(scale - decimal.scale);
}

/** Compares two decimals: below 0, 0, or above 0. */
export function compareDecimals(left: string, right: string): number {
  const [a, b] = [parseDecimal(left), parseDecimal(right)];
  const scale = Math.max(a.scale, b.scale);
  const [x, y] = [unitsAt(a, scale), unitsAt(b, scale)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** The sum of decimals, exactly. */
export function addDecimals(texts: readonly string[]): string {
  const decimals = texts.map(parseDecimal);
  const scale = decimals.reduce((most, decimal) => Math.max(most, decimal.scale), 0);
  const units = decimals.reduce((sum, decimal) => sum + unitsAt(decimal, scale), 0n);
  return write({ units, scale });
}

/** The difference of two decimals, exactly. */
export function subtractDecimals(left: string, right: string): string {
  const { units, scale } = parseDecimal(right);
  return addDecimals([left, write({ units: -units, scale })]);
}

function write({ units, scale }: Decimal): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const sign = units < 0n ? '-' : '';
  return scale === 0 ? sign + whole : `${sign}${whole}.${digits.slice(digits.length - scale)}`;
}

/** Divides and rounds half away from zero. The divisor is above zero. */
function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const half = divisor / 2n;
  return dividend < 0n ? -((-dividend + half) / divisor) : (dividend + half) / divisor;
}

/** Rounds a decimal half away from zero to a number of digits after the point. */
export function roundDecimal(text: string, digits: number): string {
  const decimal = parseDecimal(text);
  if (decimal.scale <= digits) {
    return write({ units: unitsAt(decimal, digits), scale: digits });
  }
  return write({ units: divideRounded(decimal.units, 10n ** BigInt(decimal.scale - digits)), scale: digits });
}

/** A part of a whole in thousandths, rounded; null if the whole is not above zero. For the lengths of bars. */
export function perMille(part: string, whole: string): number | null {
  const [a, b] = [parseDecimal(part), parseDecimal(whole)];
  if (b.units <= 0n) {
    return null;
  }
  const scale = Math.max(a.scale, b.scale);
  return Number(divideRounded(unitsAt(a, scale) * 1000n, unitsAt(b, scale)));
}

/** Writes thousandths as a percentage with one decimal place, such as `12.5 %`. */
export function formatPerMille(value: number): string {
  return `${roundDecimal(write({ units: BigInt(value), scale: 1 }), 1)} %`;
}

function group(whole: string): string {
  return whole.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Writes a count with separators, such as `12,345`. */
export function formatCount(count: number | string): string {
  const text = String(count);
  const [whole = '0', fraction] = text.replace('-', '').split('.');
  return `${text.startsWith('-') ? '−' : ''}${group(whole)}${fraction ? `.${fraction}` : ''}`;
}

/** The most digits after the point that an amount is shown with; the rest is on hover. */
const MAX_DIGITS = 12;

/** How many digits an amount is shown with: two, and more for amounts below a dollar, so that they are not shown as nothing. */
function shownDigits({ units, scale }: Decimal): number {
  const magnitude = units < 0n ? -units : units;
  if (magnitude === 0n || magnitude >= 10n ** BigInt(scale)) {
    return 2;
  }
  const zeros = scale - magnitude.toString().length;
  return Math.min(Math.max(zeros + 2, 2), MAX_DIGITS);
}

const SYMBOLS: Readonly<Record<string, string>> = { USD: '$' };

/** Writes an amount of money, rounded to be read, such as `$1,234.57` or `$0.0042`. */
export function formatAmount(text: string, currency = 'USD'): string {
  const digits = shownDigits(parseDecimal(text));
  const rounded = roundDecimal(text, digits);
  const [whole = '0', fraction = ''] = rounded.replace('-', '').split('.');
  const symbol = SYMBOLS[currency] ?? `${currency} `;
  return `${rounded.startsWith('-') ? '−' : ''}${symbol}${group(whole)}.${fraction}`;
}

/** Where an amount is drawn: a float, for nothing but the position of a pixel. */
export function toPixels(text: string | null): number | null {
  return text === null ? null : Number(text);
}
