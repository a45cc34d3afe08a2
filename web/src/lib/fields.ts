/** The fields of a state of an object, by their paths: JSON Pointers, as the API names fields that changed. */

export interface Field {
  readonly path: string;
  readonly value: unknown;
}

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}

/** The innermost fields of a value. An empty list or object is a field of its own. */
export function fieldsOf(value: unknown, path = ''): Field[] {
  if (!isNested(value)) {
    return [{ path, value }];
  }
  return Object.entries(value).flatMap(([key, inner]) =>
    fieldsOf(inner, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  );
}

/** A value as it is shown: texts without quotation marks, everything else as JSON. */
export function showValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
