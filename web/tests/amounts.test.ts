import { describe, expect, it } from 'vitest';
import { addDecimals, compareDecimals, formatAmount, formatCount, formatPerMille, parseDecimal, perMille, roundDecimal, subtractDecimals } from '../src/lib/amounts';

describe('amounts', () => {
  it('are added without the error of floats', () => {
    expect(addDecimals(['0.1', '0.2'])).toBe('0.3');
    expect(addDecimals(['9007199254740993', '0.000000000001'])).toBe('9007199254740993.000000000001');
    expect(addDecimals(['1', '-1.50'])).toBe('-0.50');
    expect(addDecimals([])).toBe('0');
    expect(subtractDecimals('0.3', '0.1')).toBe('0.2');
    expect(subtractDecimals('1', '9007199254740993.5')).toBe('-9007199254740992.5');
    expect(subtractDecimals('-1', '-1.50')).toBe('0.50');
  });

  it('are compared at any scale', () => {
    expect(compareDecimals('0.10', '0.1')).toBe(0);
    expect(compareDecimals('9007199254740993', '9007199254740992')).toBe(1);
    expect(compareDecimals('-0.01', '0')).toBe(-1);
  });

  it('are rounded half away from zero', () => {
    expect(roundDecimal('2.675', 2)).toBe('2.68');
    expect(roundDecimal('-2.675', 2)).toBe('-2.68');
    expect(roundDecimal('1.005', 2)).toBe('1.01');
    expect(roundDecimal('7', 2)).toBe('7.00');
    expect(roundDecimal('0.4', 0)).toBe('0');
  });

  it('are refused if they are none', () => {
    for (const text of ['', '1e5', '.5', '1.', 'NaN', '1,5', '--1']) {
      expect(() => parseDecimal(text), text).toThrow(JSON.stringify(text));
    }
  });

  it('are shown with two digits, and small ones with those that say something', () => {
    expect(formatAmount('1234567.891')).toBe('$1,234,567.89');
    expect(formatAmount('0')).toBe('$0.00');
    expect(formatAmount('0.000')).toBe('$0.00');
    expect(formatAmount('0.5')).toBe('$0.50');
    expect(formatAmount('0.055')).toBe('$0.055');
    expect(formatAmount('0.009213')).toBe('$0.0092');
    expect(formatAmount('0.000000000001')).toBe('$0.000000000001');
    expect(formatAmount('-12.345')).toBe('−$12.35');
    expect(formatAmount('3.5', 'EUR')).toBe('EUR 3.50');
    expect(formatAmount('9007199254740993.01')).toBe('$9,007,199,254,740,993.01');
  });

  it('are parts of a whole in thousandths', () => {
    expect(perMille('1', '3')).toBe(333);
    expect(perMille('2', '3')).toBe(667);
    expect(perMille('15.00', '10')).toBe(1500);
    expect(perMille('1', '0')).toBeNull();
    expect(formatPerMille(333)).toBe('33.3 %');
    expect(formatPerMille(1500)).toBe('150.0 %');
    expect(formatPerMille(0)).toBe('0.0 %');
  });

  it('have counts with separators', () => {
    expect(formatCount(1234567)).toBe('1,234,567');
    expect(formatCount('18014398509481982')).toBe('18,014,398,509,481,982');
    expect(formatCount('1234.5678')).toBe('1,234.5678');
    expect(formatCount(-1000)).toBe('−1,000');
    expect(formatCount(12)).toBe('12');
  });
});
