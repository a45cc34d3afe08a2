/** Comma-separated values (RFC 4180), as the server writes them. */

/** What starts a formula in spreadsheets, with the full-width forms. */
const FORMULA = /^(\s*[=+\-@＝＋－＠]|[\t\r\n])/;
const NUMBER = /^[+-]?\d[\d.]*$/;

/** A cell that spreadsheets do not run as a formula; a negative number remains a number. */
export function withoutFormula(text: string): string {
  return FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
}

function field(text: string): string {
  const safe = withoutFormula(text);
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Lines of cells; one that is null is empty. */
export function csvOf(lines: readonly (readonly (string | number | null)[])[]): string {
  return lines.map((cells) => `${cells.map((cell) => field(cell === null ? '' : String(cell))).join(',')}\r\n`).join('');
}
